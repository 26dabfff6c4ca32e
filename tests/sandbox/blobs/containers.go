package blobs

import "net/http"

func (c *call) createContainer() (answer, *problem) {
	if c.s.containers[c.op.Container] != nil {
		return answer{}, containerExists
	}
	b := &box{etag: c.s.newETag(), modified: c.s.opt.Now().UTC(), blobs: map[string]*blob{}}
	c.s.containers[c.op.Container] = b
	a := answer{status: http.StatusCreated, header: http.Header{}}
	a.version(b.etag, b.modified)
	return a, nil
}

// deleteContainer answers Delete Container. The service needs half a minute until the
// name can be used again; here it can be at once.
func (c *call) deleteContainer() (answer, *problem) {
	if c.s.containers[c.op.Container] == nil {
		return answer{}, containerNotFound
	}
	delete(c.s.containers, c.op.Container)
	return answer{status: http.StatusAccepted, header: http.Header{}}, nil
}

func (c *call) containerProperties() (answer, *problem) {
	b := c.s.containers[c.op.Container]
	if b == nil {
		return answer{}, containerNotFound
	}
	a := answer{status: http.StatusOK, header: http.Header{}}
	a.version(b.etag, b.modified)
	lease{}.show(a.header, c.s.opt.Now())
	return a, nil
}
