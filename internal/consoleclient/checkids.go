package consoleclient

// missingIDError reports an entity without an id in a response. Its value is the entity's type.
type missingIDError string

// Error returns a message with the type.
func (e missingIDError) Error() string { return "the answer holds a " + string(e) + " without an id" }

// checkIDs fails with a missingIDError if an entity of a list or get, or a nested one, has no id.
func checkIDs(entity any) error {
	if e, ok := entity.(interface{ checkIDs() error }); ok {
		return e.checkIDs()
	}
	return nil
}

// checkAllIDs returns err, or else the first error of checkIDs for the entities.
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
