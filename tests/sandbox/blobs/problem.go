package blobs

import (
	"encoding/xml"
	"fmt"
	"net/http"
)

// problem is an error of the service.
// https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
type problem struct {
	status        int
	code, message string
}

var (
	containerExists   = &problem{409, "ContainerAlreadyExists", "The specified container already exists."}
	containerNotFound = &problem{404, "ContainerNotFound", "The specified container does not exist."}
	blobExists        = &problem{409, "BlobAlreadyExists", "The specified blob already exists."}
	blobNotFound      = &problem{404, "BlobNotFound", "The specified blob does not exist."}
	conditionNotMet   = &problem{412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."}
	notModified       = &problem{304, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."}
	unsatisfiable     = &problem{400, "UnsatisfiableCondition", "The request includes an unsatisfiable condition for this operation."}
	invalidRange      = &problem{416, "InvalidRange", "The range specified is invalid for the current size of the resource."}
	invalidBlockList  = &problem{400, "InvalidBlockList", "The specified block list is invalid."}
	invalidBlock      = &problem{400, "InvalidBlobOrBlock", "The specified blob or block content is invalid."}
	invalidXML        = &problem{400, "InvalidXmlDocument", "XML specified is not syntactically valid."}
	invalidHeader     = &problem{400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format."}
	missingHeader     = &problem{400, "MissingRequiredHeader", "A required HTTP header was not specified."}
	missingLength     = &problem{411, "MissingContentLengthHeader", "Content-Length HTTP header is missing."}
	md5Mismatch       = &problem{400, "Md5Mismatch", "The MD5 value specified in the request did not match the MD5 value calculated by the server."}
	invalidParameter  = &problem{400, "InvalidQueryParameterValue", "Value for one of the query parameters specified in the request URI is invalid."}
	outOfRange        = &problem{400, "OutOfRangeQueryParameterValue", "One of the query parameters specified in the request URI is outside the permissible range."}
	invalidName       = &problem{400, "InvalidResourceName", "The specified resource name contains invalid characters."}
	nameOutOfRange    = &problem{400, "OutOfRangeInput", "The specified resource name length is not within the permissible limits."}
	notAuthorized     = &problem{403, "AuthorizationFailure", "Server failed to authenticate the request. Make sure the value of the Authorization header is formed correctly including the signature."}
	notImplemented    = &problem{501, "NotImplemented", "This stand-in does not know the operation."}

	leaseIDMissing       = &problem{412, "LeaseIdMissing", "There is currently a lease on the blob and no lease ID was specified in the request."}
	leaseIDMismatch      = &problem{412, "LeaseIdMismatchWithBlobOperation", "The lease ID specified did not match the lease ID for the blob."}
	leaseLost            = &problem{412, "LeaseNotPresentWithBlobOperation", "A lease ID was specified, but the lease for the blob has expired."}
	leasePresent         = &problem{409, "LeaseAlreadyPresent", "There is already a lease present."}
	leaseIDMismatchLease = &problem{409, "LeaseIdMismatchWithLeaseOperation", "The lease ID specified did not match the lease ID for the blob."}
)

// answer is what a call is answered with.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (p *problem) answer() answer {
	a := answer{status: p.status, header: http.Header{"X-Ms-Error-Code": {p.code}}}
	if p.status != http.StatusNotModified {
		a.header.Set("Content-Type", "application/xml")
		a.body = fmt.Appendf(nil, "%s<Error><Code>%s</Code><Message>%s</Message></Error>", xml.Header, p.code, p.message)
	}
	return a
}
