package fault

import "fmt"

// EntraRefusal says in sentences what a code of Entra means when Entra gives the
// connector no token for the Office 365 Import service, and what to do. code is
// the number behind "AADSTS", which is also in error_codes of Entra's answer.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
func EntraRefusal(code int) string {
	sentence, known := entraCodes[code]
	if !known {
		sentence = "Entra refuses to give a token for the Import service. Look the code up in Microsoft's list of Entra error codes."
	}
	return fmt.Sprintf("%s (AADSTS%d)", sentence, code)
}

const noConsent = "The Office 365 Import service has no consent in the tenant. A global administrator opens Microsoft's consent page, linked under Settings, and accepts."

var entraCodes = map[int]string{
	700016:  "Entra knows no app with this Application (client) ID in the tenant. Copy the ID again from the app registration, and check that it is in this tenant.",
	7000215: "The client secret is wrong. Enter the secret's Value, not its Secret ID; if the value was not kept, make a new secret.",
	7000222: "The client secret has expired. Make a new one in the app registration (Certificates & secrets) and enter its Value.",
	7000112: "The app is disabled in the tenant. Enable it in Entra (Enterprise applications, Properties).",
	7000229: "The app has no service principal in the tenant. Open the app registration and create it (Managed application in local directory).",
	90002:   "Entra knows no such tenant. Set TENANT_ID to the id of your Microsoft 365 tenant.",
	500011:  noConsent,
	650057:  noConsent,
	65001:   noConsent,
	501051:  "The app is not assigned to the Import service. A global administrator opens Microsoft's consent page, linked under Settings, and accepts.",
	53003:   "A conditional access policy of the tenant blocks the app. Exclude the app from it.",
	700024:  "The clock of the machine that runs the connector is wrong. Set it right.",
	90033:   "Entra is out of order for the moment. Try again later.",
}
