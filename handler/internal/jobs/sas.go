package jobs

import (
	"net/url"
	"regexp"
	"strings"

	"xarchive/handler/internal/loopback"
)

// blobHost is a storage account's blob endpoint: Azure's public cloud, its clouds
// for the US government and China, and accounts in DNS zones. Nothing else gets the
// organization's posts, whatever a request says.
// https://learn.microsoft.com/azure/storage/common/storage-account-overview#storage-account-endpoints
var blobHost = regexp.MustCompile(`^[a-z0-9]{3,24}\.(blob\.core\.(windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)|z[0-9]{1,3}\.blob\.storage\.azure\.net)$`)

// blobContainer is the name of a container, but for its length and for hyphens in
// a row.
var blobContainer = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)

// checkContainerSAS refuses what is not the URL of a blob container with a shared
// access signature (SAS) that allows to write:
//
//	https://<account>.blob.core.windows.net/<container>?sv=…&sr=c&sp=…&sig=…
//
// With allowLoopback it may be an emulator's, http(s)://127.0.0.1:<port>/<account>/<container>.
// No error repeats any of it: the signature is a secret.
// https://learn.microsoft.com/rest/api/storageservices/create-service-sas
func checkContainerSAS(text string, allowLoopback bool) error {
	if text == "" {
		return bad("BlobSasUri is missing.")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return bad("BlobSasUri is not an absolute URL.")
	}
	if u.User != nil || strings.Contains(text, "#") {
		return bad("BlobSasUri must have neither a user name nor a fragment.")
	}
	path := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	switch {
	case allowLoopback && loopback.Host(u.Hostname()) && (u.Scheme == "http" || u.Scheme == "https"):
		if len(path) != 2 || !accountForm.MatchString(path[0]) {
			return bad("BlobSasUri must lead to a container: /<account>/<container>.")
		}
		path = path[1:]
	case u.Scheme != "https":
		return bad("BlobSasUri must be https.")
	case u.Port() != "" && u.Port() != "443" || !blobHost.MatchString(strings.ToLower(u.Hostname())):
		return bad("BlobSasUri must be on an Azure storage account, like https://<account>.blob.core.windows.net.")
	}
	if len(path) != 1 || len(path[0]) < 3 || len(path[0]) > 63 || !blobContainer.MatchString(path[0]) {
		return bad("BlobSasUri must lead to a blob container, and to nothing in it.")
	}
	return checkSignature(u.RawQuery)
}

var accountForm = regexp.MustCompile(`^[a-z0-9]{3,24}$`)

// checkSignature refuses a query that is not a SAS for writing into a container.
func checkSignature(rawQuery string) error {
	sas, err := url.ParseQuery(rawQuery)
	if err != nil {
		return bad("BlobSasUri has a malformed query.")
	}
	for _, name := range []string{"sig", "sr", "sp"} {
		if len(sas[name]) > 1 {
			return bad("BlobSasUri has " + name + " more than once.")
		}
	}
	switch {
	case sas.Get("sig") == "":
		return bad("BlobSasUri has no shared access signature (sig).")
	case sas.Has("sr") && sas.Get("sr") != "c":
		return bad("BlobSasUri must be signed for a container (sr=c).")
	case sas.Has("sp") && !strings.ContainsAny(sas.Get("sp"), "wc"):
		return bad("BlobSasUri must allow to write or create blobs (sp).")
	}
	return nil
}
