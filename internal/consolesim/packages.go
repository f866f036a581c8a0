package consolesim

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

const (
	maxDirectUpload = 200 << 20 // the document sends larger files through an upload channel
	maxManifest     = 4 << 10
)

// getPackages is the document's section Packages: list. Versions come only with IncludeVersions=true.
func (s *Server) getPackages(c *call) (reply, error) {
	q, err := c.parseList(listKind{times: true})
	if err != nil {
		return reply{}, err
	}
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	count, items := s.st.packages.list(c.dept.ID, q, nil)
	return page(c, count, items, c.packages(q.includeVersions)), nil
}

// getPackage is the document's section Packages: get.
func (s *Server) getPackage(c *call) (reply, error) {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	it, err := find(c, s.st.packages, "package")
	if err != nil {
		return reply{}, err
	}
	return single(c, false, c.packages(true)(nil, it)), nil
}

// patchPackage is the document's section Packages: update. Another eTag than the current one
// is a 409.
func (s *Server) patchPackage(c *call) (reply, error) {
	var b struct {
		ETag, Description opt[string]
		Tags              opt[[]string]
	}
	if err := c.decode(&b); err != nil {
		return reply{}, err
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	it, err := find(c, s.st.packages, "package")
	if err != nil {
		return reply{}, err
	}
	current := it.v.ETag
	if s.opts.Dialect.NoExtraFields {
		current = it.v.Latest().ETag
	}
	if b.ETag.v != current {
		return reply{}, problemf(http.StatusConflict, "The eTag is not the current one: the package was changed meanwhile.")
	}
	assign(b.Description, &it.v.Description)
	assign(b.Tags, &it.v.Tags)
	s.st.recordChange(&it.v.Meta, c.user, c.now())
	it.changed()
	return okJSON(c.packages(true)(nil, it)), nil
}

// deletePackage is the document's section Packages: delete. A package that a workflow uses
// cannot be deleted (status 400).
func (s *Server) deletePackage(c *call) (reply, error) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	it, err := find(c, s.st.packages, "package")
	if err != nil {
		return reply{}, err
	}
	for _, w := range s.st.workflows.byDept[c.dept.ID] {
		if w.v.PackageID == it.v.ID {
			return reply{}, badRequest("The package is referenced by workflow '%s' and cannot be deleted.", w.v.Name)
		}
	}
	out := deleted(c, c.packages(true)(nil, it))
	s.st.packages.remove(it)
	return out, nil
}

// putPackage is the document's section Packages: upload. The file is hashed and discarded.
func (s *Server) putPackage(c *call) (reply, error) {
	if !strings.EqualFold(c.r.Header.Get("Content-Type"), "application/octet-stream") {
		return reply{}, problemf(http.StatusUnsupportedMediaType, "Content-Type must be application/octet-stream.")
	}
	f, err := s.receive(c, maxDirectUpload)
	if err != nil {
		return reply{}, err
	}
	if f.Size == 0 {
		return reply{}, badRequest("The file is empty.")
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	f.Direct = true
	f.ID = s.st.gen.id()
	s.st.addUpload(&upload{Upload: f.Upload})
	return s.store(c, f)
}

// file describes an uploaded file.
type file struct {
	Upload
	head []byte // its first bytes
}

// receive hashes and discards the request's body of at most limit bytes; 0: no limit.
func (s *Server) receive(c *call, limit int64) (file, error) {
	in := &prefix{r: c.r.Body}
	var src io.Reader = in
	if limit > 0 {
		src = io.LimitReader(in, limit+1)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, src)
	s.log.body(c.entry, in.head)
	if err != nil {
		return file{}, badRequest("The file broke off after %d bytes.", n)
	}
	if limit > 0 && n > limit {
		return file{}, problemf(http.StatusRequestEntityTooLarge, "Files of more than 200 MiB need an upload channel.")
	}
	return file{Upload: Upload{Size: n, SHA256: fileHash(sum.Sum(nil))}, head: in.head[:min(len(in.head), maxManifest)]}, nil
}

// manifest reads name and version from the beginning of a file, or derives them from its hash.
func (f file) manifest() (name, version string) {
	var m struct{ Name, Version string }
	if err := json.NewDecoder(bytes.NewReader(f.head)).Decode(&m); err != nil || m.Name == "" {
		return "Package-" + f.SHA256[:12], "1.0.0"
	}
	if m.Version == "" {
		m.Version = "1.0.0"
	}
	return m.Name, m.Version
}

// store adds a file as a version of the package with its name, or of a new package. The same
// file again is answered with its existing version; another file with that version number is a
// 400. The write lock must be held.
func (s *Server) store(c *call, f file) (reply, error) {
	name, number := f.manifest()
	var it *item[Package]
	for _, p := range s.st.packages.byDept[c.dept.ID] {
		if p.v.Name == name {
			it = p
		}
	}
	if it != nil {
		for i := range it.v.Versions {
			v := &it.v.Versions[i]
			switch {
			case v.Version == number && v.HashValue == f.SHA256:
				return okJSON(c.uploaded(&it.v, v)), nil
			case v.Version == number:
				return reply{}, badRequest("Version %s of package '%s' exists already.", number, name)
			}
		}
	}
	v := PackageVersion{Meta: s.st.fresh(c, name), Version: number, UploadedAt: c.now().UTC(), HashValue: f.SHA256}
	if it == nil {
		p := Package{Meta: s.st.fresh(c, name), Versions: []PackageVersion{v}}
		it = s.st.packages.add(p)
	} else {
		it.v.Versions = append(it.v.Versions[:len(it.v.Versions):len(it.v.Versions)], v)
		s.st.recordChange(&it.v.Meta, c.user, c.now())
		it.changed()
	}
	return okJSON(c.uploaded(&it.v, it.v.Latest())), nil
}

func (c *call) uploaded(p *Package, v *PackageVersion) []byte {
	e := c.encoder()
	e.begin()
	e.str("packageId", p.ID)
	e.str("packageVersionId", v.ID)
	e.str("packageName", p.Name)
	e.str("lastVersion", p.Latest().Version)
	if e.extra() {
		e.str("currentVersion", v.Version)
	}
	e.end()
	return e.bytes()
}

// packages encodes packages with or without their versions.
func (c *call) packages(versions bool) func([]byte, *item[Package]) []byte {
	slot := 0
	if versions {
		slot = 1
	}
	return func(dst []byte, it *item[Package]) []byte {
		return cached(c, dst, it, slot, 0, func(e *encoder, v *Package) { e.pack(v, versions) })
	}
}

func (e *encoder) pack(v *Package, versions bool) {
	e.begin()
	e.str("id", v.ID)
	e.str("name", v.Name)
	e.str("description", v.Description)
	e.int("totalDownloads", v.TotalDownloads)
	e.str("lastVersion", v.Latest().Version)
	e.str("lastVersionId", v.Latest().ID)
	e.created(&v.Meta)
	e.strs("tags", v.Tags)
	e.str("companyId", v.CompanyID)
	e.str("departmentId", v.DepartmentID)
	e.opt("iconUrl", v.IconURL)
	e.str("fullDescription", v.FullDescription)
	if versions {
		e.beginListAt("versions")
		for i := range v.Versions {
			e.version(v, &v.Versions[i])
		}
		e.endList()
	} else {
		e.null("versions")
	}
	e.beyond(&v.Meta, "Package")
	e.end()
}

func (e *encoder) version(p *Package, v *PackageVersion) {
	e.begin()
	e.str("id", v.ID)
	e.str("packageId", p.ID)
	e.str("version", v.Version)
	e.str("description", v.Description)
	e.arguments(v.Arguments)
	e.str("eTag", v.ETag)
	e.time("uploadTime", v.UploadedAt)
	e.int("totalDownloads", v.TotalDownloads)
	e.created(&v.Meta)
	e.str("companyId", p.CompanyID)
	e.str("departmentId", p.DepartmentID)
	e.str("fullDescription", v.FullDescription)
	if e.extra() {
		e.int("deploymentCount", int64(hash64(v.ID)%9))
		e.str("hashValue", v.HashValue)
		e.str("hashAlgorithm", "SHA256")
		e.bool("runAsAdmin", v.RunAsAdmin)
		e.str("tenantId", p.CompanyID)
	}
	e.end()
}
