package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"time"
)

// The parts of an image, as the OCI image specification describes them.
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Platform    *platform         `json:"platform,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	}
	manifest struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}
	index struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}
	imageConfig struct {
		platform

		Created time.Time `json:"created"`
		Config  runConfig `json:"config"`
		RootFS  rootFS    `json:"rootfs"`
	}
	runConfig struct {
		User         string              `json:"User"`
		Env          []string            `json:"Env"`
		Entrypoint   []string            `json:"Entrypoint"`
		Cmd          []string            `json:"Cmd"`
		WorkingDir   string              `json:"WorkingDir"`
		Volumes      map[string]struct{} `json:"Volumes"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
		Labels       map[string]string   `json:"Labels"`
		StopSignal   string              `json:"StopSignal"`
		Healthcheck  healthcheck         `json:"Healthcheck"` // Docker's addition
	}
	healthcheck struct {
		Test     []string      `json:"Test"`
		Interval time.Duration `json:"Interval"`
		Timeout  time.Duration `json:"Timeout"`
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
)

const (
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaIndex    = "application/vnd.oci.image.index.v1+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// nobody is the user of the image: that of distroless images, so that clusters which demand a user other than root
// accept it.
const nobody = 65532

// writeImage writes an image for the programs as an OCI layout: a directory that skopeo, podman and others read.
func (r *release) writeImage(programs []program) error {
	layout := fmt.Sprintf("tenure_%s_oci", r.version)
	all := index{SchemaVersion: 2, MediaType: mediaIndex}
	for _, p := range programs {
		d, err := r.addImage(layout, p)
		if err != nil {
			return err
		}
		all.Manifests = append(all.Manifests, d)
	}
	top := all
	if len(programs) > 1 { // one name for all: the client chooses by its platform
		d, err := r.blob(layout, mediaIndex, all)
		if err != nil {
			return err
		}
		top.Manifests = []descriptor{d}
	}
	top.Manifests[0].Annotations = map[string]string{"org.opencontainers.image.ref.name": r.version}
	text, err := json.Marshal(top)
	if err != nil {
		return err
	}
	if err := r.write(path.Join(layout, "index.json"), text); err != nil {
		return err
	}

	return r.write(path.Join(layout, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
}

// addImage writes the image for one platform.
func (r *release) addImage(layout string, p program) (d descriptor, err error) {
	user := fmt.Sprintf("tenure:x:%d:%d::/data:/usr/sbin/nologin\n", nobody, nobody)
	files := append(under("usr/bin", commands(p)),
		file{name: "etc/passwd", data: []byte("root:x:0:0::/:/usr/sbin/nologin\n" + user)},
		file{name: "etc/group", data: []byte(fmt.Sprintf("root:x:0:\ntenure:x:%d:\n", nobody))},
		file{name: "usr/share/doc/tenure/LICENCES-OF-MODULES", data: notices(p.modules)},
		file{name: "data", isDir: true, mode: 0o700, owner: nobody},
	)
	layer, err := tarball(files, "", r.time)
	if err != nil {
		return d, err
	}
	diff := digest(layer)
	if layer, err = compressed(layer); err != nil {
		return d, err
	}
	m := manifest{SchemaVersion: 2, MediaType: mediaManifest, Layers: make([]descriptor, 1)}
	if m.Layers[0], err = r.bytesBlob(layout, mediaLayer, layer); err != nil {
		return d, err
	}
	here := platform{Architecture: p.arch, OS: p.os}
	m.Config, err = r.blob(layout, mediaConfig, imageConfig{
		platform: here, Created: r.time, Config: r.runConfig(), RootFS: rootFS{Type: "layers", DiffIDs: []string{diff}},
	})
	if err != nil {
		return d, err
	}
	d, err = r.blob(layout, mediaManifest, m)
	d.Platform = &here

	return d, err
}

// runConfig says how the image runs. It serves HTTP within the container only, for the health check.
func (r *release) runConfig() runConfig {
	const admin = "127.0.0.1:8136"

	return runConfig{
		User: fmt.Sprintf("%d:%d", nobody, nobody), WorkingDir: "/data", StopSignal: "SIGTERM",
		Env: []string{
			"PATH=/usr/bin", "HOME=/data", "TENURE_DATA=/data/serve", "TENURE_LISTEN=0.0.0.0:2136", "TENURE_HTTP=" + admin,
			"TENURE_ADMIN=http://" + admin,
		},
		Entrypoint: []string{"/usr/bin/tenure"}, Cmd: []string{"serve"},
		Volumes: map[string]struct{}{"/data": {}}, ExposedPorts: map[string]struct{}{"2136/tcp": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title": "tenure", "org.opencontainers.image.version": r.version,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
		Healthcheck: healthcheck{
			Test:     []string{"CMD", "/usr/bin/tenure", "status", "--check"},
			Interval: 10 * time.Second, Timeout: 5 * time.Second,
		},
	}
}

// blob writes a value as JSON under its digest.
func (r *release) blob(layout, media string, value any) (descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}

	return r.bytesBlob(layout, media, text)
}

func (r *release) bytesBlob(layout, media string, data []byte) (descriptor, error) {
	sum := digest(data)
	err := r.write(path.Join(layout, "blobs", "sha256", sum[len("sha256:"):]), data)

	return descriptor{MediaType: media, Digest: sum, Size: len(data)}, err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)

	return "sha256:" + hex.EncodeToString(sum[:])
}
