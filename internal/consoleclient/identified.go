package consoleclient

// missingIDError reports an entity without an id in a response. Its value is the entity's type.
type missingIDError string

// Error returns a message with the type.
func (e missingIDError) Error() string { return "the answer holds a " + string(e) + " without an id" }

// checkIDs fails with a noIDError if an entity of a list or get, or a nested one, has no id.
func checkIDs(entity any) error {
	switch e := entity.(type) {
	case *Company:
		return checkID("Company", e.ID)
	case *DepartmentTree:
		if e.RootDepartment != nil {
			return checkIDs(e.RootDepartment)
		}
	case *Department:
		return checkAllIDs(checkID("Department", e.ID), e.Children)
	case *Package:
		return checkAllIDs(checkID("Package", e.ID), e.Versions)
	case *PackageVersion:
		return checkID("PackageVersion", e.ID)
	case *Queue:
		return checkID("Queue", e.ID)
	case *Robot:
		return checkID("Robot", e.ID)
	case *Workflow:
		return checkID("Workflow", e.ID)
	case *WorkflowLayout:
		return checkAllIDs(checkID("WorkflowLayout", e.ID), e.Nodes)
	case *WorkflowLayoutNode:
		return checkID("WorkflowLayoutNode", e.ID)
	}
	return nil
}

// checkAllIDs returns err, or else the first error of identified for the entities.
func checkAllIDs[T any](err error, entities []*T) error {
	for _, e := range entities {
		if err != nil {
			break
		}
		err = checkIDs(e)
	}
	return err
}

func checkID(kind, id string) error {
	if id == "" {
		return missingIDError(kind)
	}
	return nil
}
