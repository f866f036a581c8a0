package transport

// drop ends an operation that gqlgen has not received.
func (c *socket) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if op := c.operations[id]; op != nil {
		delete(c.operations, id)
		close(op.ended)
	}
}

// beginning is the result of a client's attempt to start an operation.
type beginning int

const (
	begun beginning = iota
	idInUse
	tooMany
)

// begin registers an operation, unless its id is in use or the connection has too many. An id
// can be used again soon after its operation has ended.
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

// leave marks an operation that the client has completed.
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
