package capture_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
	"xarchive/handler/internal/storage"
)

func newContainer(t *testing.T) *storage.Container {
	a := storage.Account{ConnectionString: "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;BlobEndpoint=http://127.0.0.1:11000/devstoreaccount1;", HTTP: http.DefaultClient}
	return a.Container(fmt.Sprintf("s%d", time.Now().UnixNano()))
}
