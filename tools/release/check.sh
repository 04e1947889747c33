#!/usr/bin/env bash
# Builds the packages for this machine twice, compares them, and checks what is in them. It keeps them in the directory
# that is its argument, if there is one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
arch=$(go env GOARCH)

for run in one two; do # each builds in a directory of its own
	go run ./tools/release -o "$scratch/$run" -targets "linux/$arch"
done
diff -r "$scratch/one" "$scratch/two"
[ $# = 0 ] || cp -r "$scratch/two" "$1"
cd "$scratch/one"
sha256sum --check --quiet SHA256SUMS
deb=$(echo ./*.deb) layout=$(echo ./*_oci) archive=$(echo ./*.tar.gz)

# The archive.
tar -xf "$archive" -C "$scratch"
files=$scratch/$(basename "$archive" .tar.gz)
version=$("$files/tenure" --version)
[ "$("$files/lock" --version)" = "${version/tenure/lock}" ]
[[ $archive = *_${version#tenure }_* ]]
[ -s "$files/man/man1/lock.1" ] && [ -s "$files/completion/bash/tenure" ]

# The Debian package: dpkg installs it, removes it, and keeps the configuration until it is told not to.
if command -v dpkg >/dev/null; then
	root=$scratch/root
	mkdir -p "$root/var/lib/dpkg/"{info,updates}
	touch "$root/var/lib/dpkg/status"
	dpkg() { command dpkg --root="$root" --log=/dev/null --force-script-chrootless --force-depends --force-not-root "$@"; }
	dpkg -i "$deb" >"$scratch/dpkg.log" 2>&1 || { cat "$scratch/dpkg.log"; exit 1; }
	(cd "$root" && command md5sum --check --quiet var/lib/dpkg/info/tenure.md5sums)
	grep '^tenure-config:' "$root/etc/group"
	[ "$("$root/usr/bin/workers" --version)" = "${version/tenure/workers}" ]
	TENURE_CONFIG=$root/etc/tenure/config.toml TENURE_DATA=$scratch/data "$root/usr/bin/tenure" serve --check

	# Units name files that the package installs.
	if command -v systemd-analyze >/dev/null; then
		units=$scratch/units
		mkdir "$units"
		for unit in service socket; do
			sed "s|/usr/bin/tenure|$root&|" "$root/usr/lib/systemd/system/tenure.$unit" >"$units/tenure.$unit"
		done
		systemd-analyze verify --man=no "$units"/tenure.{service,socket}
		systemd-analyze security --offline=true --threshold=16 "$units/tenure.service" | tail -1
	else
		echo 'there is no systemd-analyze here: the units are not checked'
	fi
	cp "$root/usr/bin/tenure" "$scratch/tenure"
	dpkg -r tenure >/dev/null
	[ -e "$root/etc/tenure/config.toml" ] && [ ! -e "$root/usr/bin/tenure" ]
	dpkg -P tenure >/dev/null 2>&1
	[ ! -e "$root/etc/tenure" ]
else
	echo 'there is no dpkg here: the Debian package is not checked'
fi

# The image.
if ! command -v skopeo >/dev/null; then
	apt-get -qq update && apt-get -qq install -y --no-install-recommends skopeo >/dev/null || true
fi
if command -v skopeo >/dev/null; then
	skopeo inspect "oci:$layout" | grep -q '"Architecture": "'"$arch"'"'
	skopeo --insecure-policy copy -q "oci:$layout" "dir:$scratch/dir" # compares all digests
else
	echo 'skopeo cannot be had: the image is not checked'
fi
if [ "$(id -u)" = 0 ]; then # the image has no shell, and its user is not root
	image=$scratch/image
	mkdir "$image"
	for layer in "$layout"/blobs/sha256/*; do
		! gzip -t "$layer" 2>/dev/null || tar -xpf "$layer" --same-owner -C "$image"
	done
	chmod 755 "$scratch"
	inside() { env -i PATH="$PATH" HOME=/data TENURE_DATA=/data/serve chroot --userspec=65532:65532 "$image" "$@"; }
	inside /usr/bin/tenure serve --check
	[ "$(inside /usr/bin/lock --version)" = "${version/tenure/lock}" ]
fi
