package loader

// What a list without paging is taken to hold when an operation is priced or planned.
const (
	LikelyCompanies   = 5
	LikelyDepartments = 20
	LikelyChildren    = 5
	LikelyRobots      = 5
	LikelyVersions    = 10
	LikelyNodes       = 10
	LikelyJobs        = 10
)
