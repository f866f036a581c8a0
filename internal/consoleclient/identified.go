package consoleclient

// noIDError reports an entity without an id in a response. Its value is the entity's type.
type noIDError string

// Error returns a message with the type.
func (e noIDError) Error() string { return "the answer holds a " + string(e) + " without an id" }

// identified fails with a noIDError if an entity of a list or get, or a nested one, has no id.
func identified(entity any) error {
	switch e := entity.(type) {
	case *Company:
		return withID("Company", e.ID)
	case *DepartmentTree:
		if e.RootDepartment != nil {
			return identified(e.RootDepartment)
		}
	case *Department:
		return allIdentified(withID("Department", e.ID), e.Children)
	case *Package:
		return allIdentified(withID("Package", e.ID), e.Versions)
	case *PackageVersion:
		return withID("PackageVersion", e.ID)
	case *Queue:
		return withID("Queue", e.ID)
	case *Robot:
		return withID("Robot", e.ID)
	case *Workflow:
		return withID("Workflow", e.ID)
	case *WorkflowLayout:
		return allIdentified(withID("WorkflowLayout", e.ID), e.Nodes)
	case *WorkflowLayoutNode:
		return withID("WorkflowLayoutNode", e.ID)
	}
	return nil
}

// allIdentified returns err, or else the first error of identified for the entities.
func allIdentified[T any](err error, entities []*T) error {
	for _, e := range entities {
		if err != nil {
			break
		}
		err = identified(e)
	}
	return err
}

func withID(kind, id string) error {
	if id == "" {
		return noIDError(kind)
	}
	return nil
}
