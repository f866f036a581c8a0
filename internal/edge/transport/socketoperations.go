package transport

// drop ends an operation that gqlgen has not seen.
func (c *socket) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if op := c.operations[id]; op != nil {
		delete(c.operations, id)
		close(op.ended)
	}
}

// beginning is what comes of an operation that a client begins.
type beginning int

const (
	begun beginning = iota
	idInUse
	tooMany
)

// begin notes that the client begins an operation, unless it has one of that id
// already, or too many. An id may be used again once its operation has ended, for
// which gqlgen takes a moment.
func (c *socket) begin(id string) beginning {
	for {
		c.mu.Lock()
		old, others := c.operations[id], len(c.operations)
		if old == nil && others < maxOperations {
			c.operations[id] = &running{ended: make(chan struct{})}
			c.mu.Unlock()
			return begun
		}
		left := old != nil && old.left
		c.mu.Unlock()
		switch {
		case old == nil:
			return tooMany
		case !left:
			return idInUse
		}
		select {
		case <-old.ended:
		case <-c.ctx.Done():
			return idInUse
		}
	}
}

// leave notes that the client wants no more of an operation.
func (c *socket) leave(id string) (known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	op := c.operations[id]
	if op == nil || op.left {
		return false
	}
	op.left = true
	return true
}
