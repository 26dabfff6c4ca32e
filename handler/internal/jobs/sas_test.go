package jobs

import (
	"slices"
	"strings"
	"testing"
)

const sas = "https://ingest1.blob.core.windows.net/task-17?sv=2024-11-04&sr=c&sp=rcwl&se=2026-02-01T00%3A00%3A00Z&sig=aGlkZGVu%3D"

func TestContainerSAS(t *testing.T) {
	const q = "?sv=2024-11-04&sr=c&sp=rcwl&sig=aGlkZGVu"
	for _, good := range []string{
		sas,
		"https://ingest1.blob.core.windows.net/task-17" + q,
		"https://ingest1.blob.core.windows.net:443/task-17" + q,
		"https://INGEST1.blob.core.windows.net/task-17" + q,
		"https://ingest1.blob.core.usgovcloudapi.net/task-17" + q,
		"https://ingest1.blob.core.chinacloudapi.cn/task-17" + q,
		"https://ingest1.z17.blob.storage.azure.net/task-17" + q,
		"https://ingest1.blob.core.windows.net/abc?sig=x",
		"https://ingest1.blob.core.windows.net/abc?sig=x&sp=c",
		"https://ingest1.blob.core.windows.net/" + strings.Repeat("a", 63) + q,
	} {
		if err := checkContainerSAS(good, false); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, wrong := range []string{
		"task-17" + q,
		"//ingest1.blob.core.windows.net/task-17" + q,
		"http://ingest1.blob.core.windows.net/task-17" + q,
		"ftp://ingest1.blob.core.windows.net/task-17" + q,
		"https:ingest1.blob.core.windows.net/task-17" + q,
		"https://ingest1.blob.core.windows.net:8443/task-17" + q,
		"https://ingest1.blob.core.windows.net./task-17" + q,
		"https://a.b.blob.core.windows.net/task-17" + q,
		"https://in_gest.blob.core.windows.net/task-17" + q,
		"https://.blob.core.windows.net/task-17" + q,
		"https://blob.core.windows.net/task-17" + q,
		"https://ingest1.blob.core.windows.net.example.com/task-17" + q,
		"https://example.com/ingest1.blob.core.windows.net/task-17" + q,
		"https://ingest1.file.core.windows.net/task-17" + q,
		"https://ingest1.table.core.windows.net/task-17" + q,
		"https://user@ingest1.blob.core.windows.net/task-17" + q,
		"https://example.com@ingest1.blob.core.windows.net/task-17" + q,
		"https://ingest1.blob.core.windows.net@example.com/task-17" + q,
		`https://example.com\@ingest1.blob.core.windows.net/task-17` + q,
		"https://ingest1.blob.core.windows.net/task-17" + q + "#x",
		"https://ingest1.blob.core.windows.net/task-17" + q + "#",
		"https://ingest1.blob.core.windows.net/" + q,
		"https://ingest1.blob.core.windows.net" + q,
		"https://ingest1.blob.core.windows.net/task-17/" + q,
		"https://ingest1.blob.core.windows.net/task-17/a.json" + q,
		"https://ingest1.blob.core.windows.net//task-17" + q,
		"https://ingest1.blob.core.windows.net/task%2D17" + q,
		"https://ingest1.blob.core.windows.net/task-17%2Fx" + q,
		"https://ingest1.blob.core.windows.net/Task-17" + q,
		"https://ingest1.blob.core.windows.net/task--17" + q,
		"https://ingest1.blob.core.windows.net/-task" + q,
		"https://ingest1.blob.core.windows.net/ab" + q,
		"https://ingest1.blob.core.windows.net/" + strings.Repeat("a", 64) + q,
		"https://ingest1.blob.core.windows.net/$web" + q,
		"https://ingest1.blob.core.windows.net/task-17",
		"https://ingest1.blob.core.windows.net/task-17?sig=",
		"https://ingest1.blob.core.windows.net/task-17?sig=a&sig=b",
		"https://ingest1.blob.core.windows.net/task-17?sr=b&sig=aGlkZGVu",
		"https://ingest1.blob.core.windows.net/task-17?sr=c&sr=b&sig=aGlkZGVu",
		"https://ingest1.blob.core.windows.net/task-17?sp=rl&sig=aGlkZGVu",
		"https://ingest1.blob.core.windows.net/task-17?sig=%zz",
		"https://169.254.169.254/task-17" + q,
		"https://127.0.0.1:10000/devstoreaccount1/task-17" + q,
		"http://localhost:10000/devstoreaccount1/task-17" + q,
		"https://ingest1.blob.core.windows.net/task-17\n" + q,
	} {
		err := checkContainerSAS(wrong, false)
		if err == nil {
			t.Errorf("%s was taken", wrong)
		} else if strings.Contains(err.Error(), "aGlkZGVu") {
			t.Errorf("the error holds the signature: %v", err)
		}
	}
	for text, good := range map[string]bool{
		"http://127.0.0.1:10000/importsvc/task-17" + q:  true,
		"https://localhost:10000/importsvc/task-17" + q: true,
		"http://[::1]:10000/importsvc/task-17" + q:      true,
		sas:                                  true,
		"http://127.0.0.1:10000/task-17" + q: false,
		"http://127.0.0.1:10000/importsvc/task-17/x" + q:             false,
		"http://127.0.0.1:10000/import_svc/task-17" + q:              false,
		"http://127.0.0.1:10000/importsvc/task-17":                   false,
		"http://10.0.0.1:10000/importsvc/task-17" + q:                false,
		"http://127.0.0.1.example.com/importsvc/task-17" + q:         false,
		"http://ingest1.blob.core.windows.net/task-17" + q:           false,
		"ftp://127.0.0.1:10000/importsvc/task-17" + q:                false,
		"http://127.0.0.1:10000/importsvc/task-17?sr=b&sig=aGlkZGVu": false,
	} {
		if err := checkContainerSAS(text, true); (err == nil) != good {
			t.Errorf("on loopback, %s: %v", text, err)
		}
	}
}

// Whatever is accepted leads to Azure's blob storage, over TLS, as any reader of
// URLs sees it.
func FuzzContainerSAS(f *testing.F) {
	f.Add(sas)
	f.Add("https://example.com@ingest1.blob.core.windows.net/task-17?sig=x")
	f.Add("https://ingest1.z1.blob.storage.azure.net:443/abc?sp=w&sig=x")
	f.Fuzz(func(t *testing.T, text string) {
		if checkContainerSAS(text, false) != nil {
			return
		}
		authority, rest, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(text), "https://"), "/")
		container, query, _ := strings.Cut(rest, "?")
		account, zone, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(authority, ":443"), ":"), ".")
		ok := slices.ContainsFunc([]string{"blob.core.windows.net", "blob.core.usgovcloudapi.net", "blob.core.chinacloudapi.cn"}, func(s string) bool { return s == zone }) ||
			strings.HasSuffix(zone, ".blob.storage.azure.net") && strings.HasPrefix(zone, "z")
		if !ok || strings.ContainsAny(account+container, "/\\@%?#:. \t\n") || !strings.Contains(query, "sig=") && !strings.Contains(query, "%") {
			t.Errorf("%q was taken", text)
		}
	})
}
