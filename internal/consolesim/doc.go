// Package consolesim is the RPA console's whole REST API in memory, served over real HTTP by three listeners: the single
// sign-on service, the API gateway and the object storage behind upload channels. It is what the demo shows, what tests
// talk to and what benchmarks measure against; it imports nothing else of this project.
//
// All 33 operations of the console's document are here, as strict as the document and the captured traffic allow:
// tokens expire, scopes are enforced, bounds are checked, refresh tokens work once. What a deployment may answer in more
// than one form is a switch of [Dialect]; what goes wrong on demand is a [Fault]. The data set is a function of
// [Options.Seed], identifiers included. All of its users, passwords and credentials are made up and for demonstration only.
package consolesim
