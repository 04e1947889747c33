package access_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenure/internal/access"
)

const (
	hash1  = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	hash2  = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	someB  = "$2b$10$abcdefghijklmnopqrstuuJhmGKNuMsBJVMSoV9gNs2C3yAjVJmWm"
	someB5 = "$2y$05$abcdefghijklmnopqrstuuJhmGKNuMsBJVMSoV9gNs2C3yAjVJmWm"
)

func TestParse_AcceptsEveryFact(t *testing.T) {
	t.Parallel()
	p := parse(t, "\ufeff# all of it\r\n"+
		"user  deploy   token="+hash1+" expires=2027-06-01      # rotation\r\n"+
		"user  deploy   token="+hash2+"\r\n"+
		"user  alice    password="+someB+"  groups=ops,dev\r\n"+
		"\t user alice groups=ops\r\n"+
		"user  build    cert=CN:build.ci.example  cert=URI:spiffe://ci/build#1 cert=\"CN:Ann Lee # 2\"\r\n"+
		"user  local    peer=uid:1000\r\n"+
		"\r\n"+
		"grant ops      /local          full\r\n"+
		"grant deploy   /local/deploy   use\r\n"+
		"grant deploy   \"/local/a b\"  Read,list ydb.generic.write YDB.granular.create_queue\r\n"+
		"grant all      /local          list\r\n"+
		"grant all      /               read\r\n"+
		"limit deploy   streams=200 sessions=500 rate=200/s\r\n"+
		"limit deploy   attaches=0.5/s\r\n"+
		"limit all      rate=unlimited")
	require.Equal(t, 4, p.Users())
	require.Empty(t, p.Warnings("/local", now))
	require.Len(t, p.Hash(), 12)
	require.Equal(t, []access.Permission{
		{Subject: "all-users@well-known", Rights: access.List | access.Read},
		{Subject: "deploy", Rights: access.Read | access.Update | access.Erase | access.List},
		{Subject: "ops", Rights: access.Full},
	}, p.Permissions("/local/deploy/x"))

	a := access.NewAuthority(p, access.AuthorityConfig{})
	local, err := a.Identify(access.ShowUID(1000), now)
	require.NoError(t, err)
	require.Equal(t, "local", local.Name)
	require.Equal(t, access.Limits{Streams: 2000, Attaches: 20}, local.Limits)
	require.Equal(t, 200, local.Limits.AttachBurst())
	require.Equal(t, access.Read|access.Update|access.Erase|access.List,
		access.Read|p.Permissions("/local/deploy")[1].Rights)
}

func TestParse_NamesTheLineAndWhatToDo(t *testing.T) {
	t.Parallel()
	user := "user u token=" + hash1 + "\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty file": {"", "tokens: the file has no user, so nobody could call the server: add one with " +
			"tenure token new NAME --tokens FILE"},
		"only comments and grants": {"# user u\n\ngrant u /local full\n", "tokens: the file has no user"},
		"unknown word":             {user + "usr v token=" + hash2, `tokens:2: unknown word "usr": a line begins with`},
		"control character": {
			user + "user v\x1b token=" + hash2,
			"tokens:2: byte 7 begins the invisible character U+001B",
		},
		"NUL":              {user + "\x00", "tokens:2: byte 1 begins the invisible character U+0000"},
		"zero-width blank": {"user u\u200b token=" + hash1, "tokens:1: byte 7 begins the invisible character U+200B"},
		"no-break space":   {"user\u00a0u token=" + hash1, "tokens:1: byte 5 begins the invisible character U+00A0"},
		"CR inside":        {"user u\rtoken=" + hash1, "tokens:1: byte 7 begins the invisible character U+000D"},
		"UTF-16":           {"\xff\xfeu\x00s\x00", "tokens:1: byte 1 is not UTF-8: save the file as UTF-8"},
		"open quote":       {user + `grant u "/local full`, "tokens:2: a quote is not closed"},

		"user without name":       {"user", "tokens:1: user: the name is missing"},
		"user without facts":      {"user u", `tokens:1: user: nothing is said about "u"`},
		"user without credential": {user + "user v groups=ops", `tokens:2: user: nothing identifies "v"`},
		"name of everybody":       {"user all token=" + hash1, `tokens:1: user: "all" stands for all users`},
		"reserved name": {
			"user root@builtin token=" + hash1,
			`tokens:1: user: the name "root@builtin" is reserved`,
		},
		"name with =":       {"user token=" + hash1 + " u", "tokens:1: user: the name \"token="},
		"name with blank":   {`user "a b" token=` + hash1, `tokens:1: user: the name "a b" contains ' '`},
		"empty name":        {`user "" token=` + hash1, `tokens:1: user: the name is empty`},
		"long name":         {"user " + strings.Repeat("u", 129) + " token=" + hash1, "has 129 bytes"},
		"unknown attribute": {"user u tokens=" + hash1, `tokens:1: user: unknown word "tokens=`},
		"user is a group": {
			user + "user v token=" + hash2 + " groups=u",
			`tokens:1: user: "u" is a user and also a group`,
		},
		"group name": {user + "user u groups=a,,b", "tokens:2: user: groups=a,,b: the name is empty"},

		"token itself": {"user u token=" + firstOf(access.NewToken()), "tokens:1: user: the token itself is in the file"},
		"no hash":      {"user u token=1111", "tokens:1: user: token=\"1111\" is not sha256: and 64 hexadecimal digits"},
		"short hash":   {"user u token=" + hash1[:70], "is not sha256: and 64 hexadecimal digits"},
		"same token":   {user + user, "tokens:2: user: this token is also on line 1: remove one of the two"},
		"same token, two": {
			user + "user v token=" + strings.ToLower(hash1),
			`tokens:2: user: this token is also that of "u", on line 1`,
		},
		"same name, two": {
			user + "user u cert=CN:x\nuser v cert=CN:x\nuser v token=" + hash2,
			`tokens:3: user: this certificate name is also that of "u", on line 2`,
		},
		"same uid, two": {
			user + "user u peer=uid:7\nuser v peer=uid:07",
			`tokens:3: user: this uid is also that of "u", on line 2`,
		},
		"two passwords": {
			"user u password=" + someB + "\nuser u password=" + someB,
			"tokens:2: user: the user has two passwords",
		},
		"plain password":  {"user u password=secret", "tokens:1: user: password= is not a bcrypt hash"},
		"cheap password":  {"user u password=" + someB5, "tokens:1: user: password=: the cost 5 is not between 10 and 14"},
		"costly password": {"user u password=" + strings.Replace(someB, "$10$", "$31$", 1), "the cost 31 is not between"},
		"cert kind":       {"user u cert=build.ci", `tokens:1: user: cert="build.ci" is not a name of a certificate`},
		"cert name":       {"user u cert=CN:", `tokens:1: user: cert="CN:" is not a name`},
		"peer":            {"user u peer=1000", `tokens:1: user: peer="1000" is not uid: and a number`},
		"negative uid":    {"user u peer=uid:-1", `peer="uid:-1" is not uid: and a number`},
		"date": {
			"user u token=" + hash1 + " expires=1.6.2027",
			`tokens:1: user: expires="1.6.2027" is not a date`,
		},
		"two dates":   {"user u token=" + hash1 + " expires=2027-01-01 expires=2028-01-01", "has two expires="},
		"lonely date": {user + "user u groups=g expires=2027-01-01", "tokens:2: user: expires= is about token="},

		"grant without rights": {user + "grant u /local", "tokens:2: grant: a word is missing: write grant NAME PATH RIGHT"},
		"unknown right": {
			user + "grant u /local reed",
			`tokens:2: grant: unknown right "reed": write read, write, list`,
		},
		"empty right": {user + "grant u /local read,", `tokens:2: grant: unknown right ""`},
		"relative path": {
			user + "grant u local read",
			`tokens:2: grant: the path "local" must begin with a slash, without doubled and trailing slashes: write "/local"`,
		},
		"trailing slash": {user + "grant u /local/ read", `write "/local"`},
		"doubled slash":  {user + "grant u /local//a read", `write "/local/a"`},
		"dots":           {user + "grant u /local/../a read", `tokens:2: grant: the path "/local/../a" contains ".."`},

		"limit without value": {user + "limit u", "tokens:2: limit: a word is missing"},
		"unknown limit":       {user + "limit u stream=1", `tokens:2: limit: unknown word "stream=1"`},
		"zero":                {user + "limit u streams=0", `tokens:2: limit: streams="0" is not a number from 1`},
		"rate without unit": {
			user + "limit u rate=200",
			`tokens:2: limit: rate="200" is not a number a second: write e.g. rate=200/s`,
		},
		"rate NaN": {user + "limit u rate=NaN/s", `is not a number a second`},
		"limit twice": {
			user + "limit u streams=1\nlimit u streams=2",
			`tokens:3: limit: streams= of "u" is also on line 2`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := access.Parse("tokens", []byte(c.text))
			require.ErrorContains(t, err, c.want)
			require.Nil(t, p)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func firstOf(first, _ string) string { return first }

// A fact about a user who is not there must not keep the file from being loaded. Otherwise a user whose line is removed
// would keep its access as long as its grants are there.
func TestPolicy_WarnsOfFactsWithoutEffect(t *testing.T) {
	t.Parallel()
	p := parse(t, `user deploy token=`+hash1+` expires=2026-11-28 groups=ops
user deploy token=`+hash2+`
grant deplyo /local use
grant gone /local full
grant opps /local full
grant deploy /other use
grant deploy / use
limit Deploy streams=1
limit ops streams=1
`)
	var lines []int
	var texts []string
	for _, w := range p.Warnings("/local/db", now) {
		lines, texts = append(lines, w.Line), append(texts, w.Text)
	}
	require.Equal(t, []int{1, 3, 4, 5, 6, 8, 9}, lines)
	require.Contains(t, texts[0], "has expired: remove the line")
	require.Contains(t, texts[1], `"deplyo" is not a user or a group of this file, so the line has no effect: write "dep`)
	require.Equal(t, `grant: "gone" is not a user or a group of this file, so the line has no effect: remove the line`,
		texts[2])
	require.Contains(t, texts[3], `write "ops", if you mean that`)
	require.Contains(t, texts[4], `the path "/other" is not in the database "/local/db"`)
	require.Contains(t, texts[5], `write "deploy", if you mean that`)
	require.Contains(t, texts[6], `"ops" is not a user of this file`)
	use := access.Read | access.Update | access.Erase | access.List
	require.Equal(t, []access.Permission{{Subject: "deploy", Rights: use}}, p.Permissions("/local"))
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "\ufeff", "user", "user u token=" + hash1, "user u token=" + hash1 + "\r\ngrant u /local full # x\r\n",
		"user a password=" + someB + " groups=b\nlimit a rate=1/s\nlimit all streams=unlimited",
		"user a cert=\"CN:x y\" peer=uid:4294967295 expires=2027-06-01T00:00:00Z", "grant all / ydb.generic.full,read",
		"user \"\" =", "\"", "=", "user u ==", "\xff", "user u cert=URI:a\u2028",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := access.Parse("tokens", []byte(text))
		if err != nil {
			var syntax *access.SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Nil(t, p)
			require.NotContains(t, err.Error(), "\n")

			return
		}
		require.Positive(t, p.Users())
		again, err := access.Parse("tokens", []byte(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")))
		require.NoError(t, err)
		require.Equal(t, p.Permissions("/local/a"), again.Permissions("/local/a"))
		require.Equal(t, p.Warnings("/local", now), again.Warnings("/local", now))
	})
}
