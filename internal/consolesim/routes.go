package consolesim

// apiRoutes are the operations of the API gateway in the document's order.
func (s *Server) apiRoutes() []*route {
	upload := on("PUT /openapi/packages", needDepartment, s.putPackage)
	upload.stream = true
	return []*route{
		on("GET /openapi/companies/companylist", needToken, s.getCompanies),
		on("GET /openapi/departments/tree", needCompany, s.getDepartmentTree),

		on("GET /openapi/packages", needDepartment, s.getPackages),
		on("GET /openapi/packages/{packageId}", needDepartment, s.getPackage),
		on("PATCH /openapi/packages/{packageId}", needDepartment, s.patchPackage),
		on("DELETE /openapi/packages/{packageId}", needDepartment, s.deletePackage),
		upload,
		on("POST /openapi/preloadedVersionFiles", needDepartment, s.postUpload),
		on("PATCH /openapi/preloadedVersionFiles/{id}", needDepartment, s.patchUpload),

		on("GET /openapi/queues", needDepartment, s.getQueues),
		on("GET /openapi/queues/{queueId}", needDepartment, s.getQueue),
		on("DELETE /openapi/queues/{queueId}", needDepartment, s.deleteQueue),
		on("PATCH /openapi/queues/{queueId}", needDepartment, s.patchQueue),
		on("POST /openapi/queues/{queueId}", needDepartment, s.postQueueByID),
		on("POST /openapi/queues", needDepartment, s.postQueue),

		on("GET /openapi/robots", needDepartment, s.getRobots),
		on("GET /openapi/robots/{robotId}", needDepartment, s.getRobot),

		on("GET /openapi/companyusers/self", needCompany, s.getSelf),

		on("GET /openapi/workflows", needDepartment, s.getWorkflows),
		on("GET /openapi/workflows/{workflowId}", needDepartment, s.getWorkflow),
		on("POST /openapi/workflows", needDepartment, s.postWorkflow),
		on("PATCH /openapi/workflows/{workflowId}", needDepartment, s.patchWorkflow),
		on("DELETE /openapi/workflows/{workflowId}", needDepartment, s.deleteWorkflow),
		on("POST /openapi/workflows/{workflowId}/execute", needDepartment, s.executeWorkflow),
		on("GET /openapi/workflows/{workflowId}/robots", needDepartment, s.getWorkflowRobots),
		on("POST /openapi/workflows/{workflowId}/robots", needDepartment, s.postWorkflowRobots),
		on("DELETE /openapi/workflows/{workflowId}/robots/{robotId}", needDepartment, s.deleteWorkflowRobot),
		on("POST /openapi/workflows/batch/upgrade", needDepartment, s.upgradeWorkflows),

		on("GET /openapi/workflowlayouts", needDepartment, s.getLayouts),
		on("GET /openapi/workflowlayouts/{workflowlayoutId}", needDepartment, s.getLayout),
		on("POST /openapi/workflowlayouts/{workflowlayoutId}/execute", needDepartment, s.executeLayout),
	}
}
