// Package consolesim is the RPA console's whole REST API in memory. Three listeners serve it
// over real HTTP: the single sign-on service, the API gateway and the object storage of upload
// channels. The demo, the tests and the benchmarks use it. It imports no other package of this
// project.
//
// It has all 33 operations of the console's document, as strict as the document and the
// captured traffic allow. Tokens expire, scopes are enforced, bounds are checked, and refresh
// tokens work once. [Dialect] selects between forms that differ between deployments; [Fault]
// makes requests fail on demand.
//
// The data set is a function of [Options.Seed], including identifiers. All users, passwords
// and credentials are invented and serve demonstration only.
package consolesim
