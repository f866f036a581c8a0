package mutation

import (
	"context"
	"errors"
	"net/http"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/scalar"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// UploadPackage streams a package file to the console.
func (s *Service) UploadPackage(ctx context.Context, in UploadPackageInput) (*UploadPackagePayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*UploadPackagePayload, error) {
		file, err := in.File.Open()
		if err != nil {
			return nil, fault.WithOutcome(fileError(err), fault.NotSent)
		}
		if in.Size != nil {
			if err := file.Declare(int64(*in.Size)); err != nil {
				return nil, fault.BadInput("input.size", "%w", err)
			}
		}
		u, err := s.upload(ctx, sc, file, in.File.AtMost)
		switch {
		case err != nil && file.Err() != nil:
			return nil, fault.WithOutcome(clientError(file.Err()), fault.NotSent) // the file's error causes the other errors
		case err != nil:
			return nil, clientError(err)
		case u == nil:
			return nil, errNoAnswer()
		}
		return &UploadPackagePayload{UploadedPackage: u}, nil
	})
}

// channelCalls are the calls of an upload through the channel: prepare, put the file,
// complete.
const channelCalls = 3

// upload sends a file that is certainly short enough straight to the console. It sends other
// files through the channel (document, section Packages: upload). A file that breaks off is
// never completed, and has no effect.
func (s *Service) upload(ctx context.Context, sc scope.Scope, file scalar.File, atMost int64) (*cc.UploadedPackage, error) {
	size, err := file.Length()
	if err != nil {
		return nil, err
	}
	if size >= 0 {
		atMost = size
	}
	if atMost >= 0 && atMost <= s.directUploadBytes {
		return s.console.UploadPackage(ctx, sc, file, size)
	}
	if size < 0 {
		size = file.Expect() // object storages, such as Azure's, refuse a file without a length
	}
	if size < 0 {
		return nil, fault.BadInput("input.size", "is needed: neither the request nor the form's part tells the length of input.file")
	}
	if err := loader.FromContext(ctx).ReserveCalls(channelCalls); err != nil {
		return nil, fault.WithOutcome(err, fault.NotSent)
	}
	prepared, err := s.console.CreatePackageUpload(ctx, sc)
	switch {
	case err != nil:
		return nil, unlessRefused(err)
	case prepared == nil:
		return nil, fault.New(fault.UpstreamInvalidResponse, "the console's answer names no upload, and nothing was changed")
	}
	if err := s.console.PutPackageFile(ctx, *prepared.Channel, file, size); err != nil {
		return nil, unlessRefused(err)
	}
	u, err := s.console.CompletePackageUpload(ctx, sc, prepared.ID)
	if err != nil {
		return nil, &incompleteUploadError{err, prepared.ID}
	}
	return u, nil
}

// unlessRefused marks an error of a step before the completion: an upload without completion
// has no effect.
func unlessRefused(err error) error {
	if fault.OutcomeOf(err) == fault.Refused {
		return err
	}
	return fault.WithOutcome(err, fault.NotSent)
}

// incompleteUploadError is an error after the file was stored.
type incompleteUploadError struct {
	error
	id string
}

// Unwrap returns the wrapped error.
func (e *incompleteUploadError) Unwrap() error { return e.error }

// UploadID returns the id with which completePackageUpload completes the upload.
func (e *incompleteUploadError) UploadID() string { return e.id }

// fileError returns the error of an unreadable file. For the caller, it concerns the argument
// with the file.
func fileError(err error) error {
	var bad *fault.Error
	if errors.As(err, &bad) && bad.Code == fault.BadUserInput {
		return fault.BadInput("input.file", "%s", bad.Message)
	}
	return clientError(err)
}

// clientError distinguishes a file that broke off from a failure of the console.
func clientError(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fault.BadInput("input.file", "makes the request longer than the %d bytes that are taken", large.Limit)
	case errors.Is(err, scalar.ErrLength):
		return fault.BadInput("input.file", "%w", scalar.ErrLength)
	case errors.Is(err, scalar.ErrRead):
		return fault.BadInput("input.file", "%w", scalar.ErrRead)
	}
	return err
}

// CreatePackageUpload prepares an upload for which the client sends the file itself.
func (s *Service) CreatePackageUpload(ctx context.Context) (*CreatePackageUploadPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*CreatePackageUploadPayload, error) {
		u, err := s.console.CreatePackageUpload(ctx, sc)
		if err == nil && u == nil {
			err = errNoAnswer()
		}
		return &CreatePackageUploadPayload{Upload: u}, err
	})
}

// CompletePackageUpload completes a prepared upload whose file is stored.
func (s *Service) CompletePackageUpload(ctx context.Context, in CompletePackageUploadInput) (*CompletePackageUploadPayload, error) {
	return mutate(ctx, func(sc scope.Scope) (*CompletePackageUploadPayload, error) {
		u, err := idempotent(ctx, s, sc, in.IdempotencyKey, in, func(ctx context.Context) (*cc.UploadedPackage, error) {
			return s.console.CompletePackageUpload(ctx, sc, in.ID)
		})
		if err != nil {
			return nil, err
		}
		if u == nil {
			return nil, errNoAnswer()
		}
		u.Stamp(sc)
		return &CompletePackageUploadPayload{UploadedPackage: u}, nil
	})
}
