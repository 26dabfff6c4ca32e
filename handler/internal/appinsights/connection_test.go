package appinsights

import (
	"strings"
	"testing"
)

const key = "0f3e5b7a-1c2d-4e5f-8a9b-0c1d2e3f4a5b"

func TestParseConnection(t *testing.T) {
	for _, f := range []struct {
		text, endpoint, scope, fault string
	}{
		{"InstrumentationKey=" + key + ";IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/;LiveEndpoint=https://westeurope.livediagnostics.monitor.azure.com/;ApplicationId=1",
			"https://westeurope-5.in.applicationinsights.azure.com", publicScope, ""},
		{" instrumentationkey = " + key + " ; ", globalEndpoint, publicScope, ""},
		{"Authorization=ikey;InstrumentationKey=" + key, globalEndpoint, publicScope, ""},
		{"InstrumentationKey=" + key + ";EndpointSuffix=applicationinsights.azure.cn;Location=chinaeast2;AADAudience=https://monitor.azure.cn/",
			"https://chinaeast2.dc.applicationinsights.azure.cn", "https://monitor.azure.cn//.default", ""},
		{"InstrumentationKey=" + key + ";EndpointSuffix=.ai.contoso.com", "https://dc.ai.contoso.com", publicScope, ""},
		{"InstrumentationKey=" + key + ";IngestionEndpoint=http://127.0.0.1:1234", "http://127.0.0.1:1234", publicScope, ""},
		{"", "", "", "no InstrumentationKey"},
		{"IngestionEndpoint=https://dc.example.com", "", "", "no InstrumentationKey"},
		{"InstrumentationKey=secret", "", "", "not a GUID"},
		{key, "", "", "pairs"},
		{"InstrumentationKey=" + key + ";InstrumentationKey=" + key, "", "", "twice"},
		{"InstrumentationKey=" + key + ";Authorization=Bearer", "", "", "AUTHENTICATION_STRING"},
		{"InstrumentationKey=" + key + ";IngestionEndpoint=http://example.com", "", "", "not https"},
		{"InstrumentationKey=" + key + ";IngestionEndpoint=example.com", "", "", "not a URL"},
		{"InstrumentationKey=" + key + ";IngestionEndpoint=https://u:p@example.com", "", "", "not a URL"},
		{"InstrumentationKey=" + key + ";EndpointSuffix=evil.com/x", "", "", "EndpointSuffix"},
		{"InstrumentationKey=" + key + ";EndpointSuffix=ai.contoso.com;Location=evil.com/", "", "", "Location"},
		{"InstrumentationKey=" + key + ";x=" + strings.Repeat("x", 4096), "", "", "longer than"},
	} {
		c, err := ParseConnection(f.text)
		if f.fault == "" {
			if err != nil || c.InstrumentationKey != key || c.Endpoint != f.endpoint || c.Scope != f.scope {
				t.Errorf("%s: %+v, %v", f.text, c, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), f.fault) {
			t.Errorf("%s: want an error with %q, got %v", f.text, f.fault, err)
		} else if strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats the string: %v", err)
		}
	}
}

func TestParseAuthentication(t *testing.T) {
	for text, want := range map[string]Authentication{
		"":                               {},
		"Authorization=AAD":              {Entra: true},
		"ClientId=abc;Authorization=AAD": {Entra: true, ClientID: "abc"},
		"authorization=aad;clientid=abc": {Entra: true, ClientID: "abc"},
	} {
		if got, err := ParseAuthentication(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"Authorization=Basic", "ClientId=abc", "AAD"} {
		if got, err := ParseAuthentication(text); err == nil {
			t.Errorf("%q is taken as %+v", text, got)
		}
	}
}
