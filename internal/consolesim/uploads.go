package consolesim

import (
	"fmt"
	"net/http"
	"time"
)

// Upload describes an uploaded file. The file itself is not stored.
type Upload struct {
	ID        string // of the upload channel; generated for direct uploads
	Direct    bool   // came by PUT /openapi/packages, not through a channel
	Size      int64  // bytes; -1 before the file is uploaded
	SHA256    string // hexadecimal; "" before the file is uploaded
	Completed bool   // the channel became a package version
}

// upload is a channel.
type upload struct {
	Upload
	dept      *Department
	created   time.Time
	signature string
	headers   map[string]string
	head      []byte
}

// maxUploads bounds the stored uploads.
const maxUploads = 1 << 14

// addUpload stores an upload and drops the oldest one beyond the bound. The write lock must
// be held.
func (st *store) addUpload(u *upload) {
	st.uploads[u.ID] = u
	st.uploadSeq = append(st.uploadSeq, u.ID)
	if len(st.uploadSeq) > maxUploads {
		delete(st.uploads, st.uploadSeq[0])
		st.uploadSeq = st.uploadSeq[1:]
	}
}

// postUpload is the document's section Packages: create an upload address.
func (s *Server) postUpload(c *call) (reply, error) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	u := &upload{
		Upload: Upload{ID: s.st.gen.id(), Size: -1}, dept: c.dept, created: c.now(), signature: s.st.gen.hex(16),
		headers: map[string]string{
			"Content-Type":   "application/octet-stream",
			"x-ms-blob-type": "BlockBlob",
			"x-upload-grant": s.st.gen.hex(12),
		},
	}
	s.st.addUpload(u)
	e := c.encoder()
	e.begin()
	e.str("id", u.ID)
	e.beginAt("channel")
	e.str("uri", fmt.Sprintf("%s/uploads/%s?sig=%s", s.storageURL, u.ID, u.signature))
	e.props("headers", u.headers)
	e.end()
	e.time("createdAt", u.created)
	e.str("companyId", c.company.ID)
	e.str("departmentId", c.dept.ID)
	if e.extra() {
		e.str("tenantId", c.company.ID)
	}
	e.end()
	return okJSON(e.bytes()), nil
}

func (s *Server) storageRoutes() []*route {
	put := on("PUT /uploads/{id}", needNothing, s.putStorage)
	put.operation, put.stream = "PUT storage", true
	return []*route{put}
}

// putStorage is the document's section Packages: upload to the address. It requires exactly
// the channel's headers, and refuses a request with a token or a scope.
func (s *Server) putStorage(c *call) (reply, error) {
	for _, name := range []string{"Authorization", "CompanyId", "DepartmentId", "Cookie"} {
		if c.r.Header.Get(name) != "" {
			return reply{}, badRequest("The header %s does not belong here.", name)
		}
	}
	s.st.mu.RLock()
	u := s.st.uploads[c.params[0]]
	s.st.mu.RUnlock()
	if u == nil || u.Direct {
		return reply{}, problemf(http.StatusNotFound, "There is no such upload.")
	}
	if c.r.URL.Query().Get("sig") != u.signature {
		return reply{}, problemf(http.StatusForbidden, "The signature is not valid.")
	}
	for name, want := range u.headers {
		if got := c.r.Header.Values(name); len(got) != 1 || got[0] != want {
			return reply{}, badRequest("The header %s must be exactly as in the channel.", name)
		}
	}
	f, err := s.receive(c, 0)
	if err != nil {
		return reply{}, err
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if u.Completed {
		return reply{}, problemf(http.StatusConflict, "The upload is completed.")
	}
	u.Size, u.SHA256, u.head = f.Size, f.SHA256, f.head
	return reply{status: http.StatusCreated}, nil
}

// patchUpload is the document's section Packages: complete an upload. It works once.
func (s *Server) patchUpload(c *call) (reply, error) {
	id, err := c.guid(0)
	if err != nil {
		return reply{}, err
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	u := s.st.uploads[id]
	switch {
	case u == nil || u.Direct || u.dept != c.dept:
		return reply{}, notFound("upload", id)
	case u.Completed:
		return reply{}, badRequest("The upload is completed already.")
	case u.Size <= 0:
		return reply{}, badRequest("No file was uploaded.")
	}
	out, err := s.store(c, file{Upload: u.Upload, head: u.head})
	if err == nil {
		u.Completed = true
	}
	return out, err
}
