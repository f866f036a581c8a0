// Package apierror converts errors to GraphQL errors.
package apierror

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// ExtensionRetryAfter is the member of an error's extensions with the seconds after which the
// request can be sent again. The header Retry-After has the longest one of an answer (RFC 9110,
// section 10.2.3).
const ExtensionRetryAfter = "retryAfter"

// NotAnOperation is the message for a body that is no operation.
const NotAnOperation = "the request body is not a JSON object of query, operationName, variables and extensions"

// Presenter converts errors to GraphQL errors.
type Presenter struct {
	// Log receives the errors that callers do not see.
	Log *slog.Logger
	// CodeOfRule returns the code of an error of a validation rule; empty: the error has its
	// own.
	CodeOfRule func(rule string) fault.Code
}

// Present converts an error to a GraphQL error; no other function does. It logs an error that
// is not meant for callers, and returns INTERNAL. The message begins with the Subject of an error
// in its chain that has one.
func (p Presenter) Present(ctx context.Context, err error) *gqlerror.Error {
	outcome := outcomeAt(ctx, err)
	out := *graphql.DefaultErrorPresenter(ctx, err) // fields may share errors
	out.Extensions = map[string]any{}

	var argument *fault.Error
	var answer *consoleclient.Error
	var of *gqlerror.Error
	switch {
	case errors.As(err, &argument):
		presentFault(ctx, &out, argument, outcome)
	case errors.As(err, &answer):
		code := fault.CodeOf(answer)
		out.Message = consoleMessage(code, answer, outcome)
		out.Extensions["code"] = code
		if answer.Status != 0 {
			out.Extensions["console"] = consoleExtension(answer)
		}
		if answer.RetryAfter > 0 {
			out.Extensions[ExtensionRetryAfter] = seconds(answer.RetryAfter)
		}
	case errors.Is(err, context.DeadlineExceeded):
		out.Message, out.Extensions["code"] = defaultMessage(fault.UpstreamTimeout)+Consequence(outcome), fault.UpstreamTimeout
	case errors.Is(err, context.Canceled):
		out.Message, out.Extensions["code"] = "the request was cancelled"+Consequence(outcome), fault.Internal
	case errors.As(err, &of) && p.CodeOfRule(of.Rule) != "":
		maps.Copy(out.Extensions, of.Extensions)
		out.Message, out.Extensions["code"] = of.Message, p.CodeOfRule(of.Rule)
	case errors.As(err, &of) && of.Extensions["code"] != nil:
		out.Message, out.Extensions = validatorMessage(ctx, of), maps.Clone(of.Extensions) // an error of gqlgen's parser or validator, or of this gateway's rules
	case strings.HasPrefix(out.Message, "json request body could not be decoded"):
		// gqlgen's text contains the body with secret variables, which neither caller nor log
		// may see.
		out.Message, out.Extensions["code"] = NotAnOperation, fault.BadUserInput
	default:
		p.Log.ErrorContext(ctx, "internal error", "error", err, "path", out.Path.String())
		out.Message, out.Extensions["code"] = "internal error"+Consequence(outcome), fault.Internal
	}
	var part interface{ Subject() string }
	if errors.As(err, &part) {
		out.Message = part.Subject() + ": " + out.Message
	}
	var upload interface{ UploadID() string }
	if errors.As(err, &upload) {
		out.Message += ": the file is in its place, and completePackageUpload ends the upload"
		out.Extensions["uploadId"] = upload.UploadID()
	}
	if _, ok := out.Extensions["outcome"]; outcome != "" && !ok {
		out.Extensions["outcome"] = outcome
	}
	return &out
}

// seconds rounds d up to whole seconds.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// maxQuoted bounds a value that an error quotes, in bytes.
const maxQuoted = 128

// redactStrings removes quoted text values from a message of the parser or validator, since they
// may be passwords. A list or an object may contain such a text, and a value longer than a
// name may be one. The error's location shows the position.
func redactStrings(message string) string {
	for _, quoted := range []string{"String cannot represent a non string value", "Unexpected String", "Unexpected BlockString"} {
		if strings.HasPrefix(message, quoted) {
			return quoted
		}
	}
	for _, quoting := range []string{", found ", `: "`} {
		if before, _, quotes := strings.Cut(message, quoting); quotes {
			message = before
		}
	}
	if before, value, quotes := strings.Cut(message, " value: "); quotes && (len(value) > maxQuoted || strings.HasPrefix(value, "[") || strings.HasPrefix(value, "{")) {
		return before + " value"
	}
	return message
}

// pathWithin returns the path of a field, with the index of the element of its list that an error
// concerns.
func pathWithin(field, of ast.Path) ast.Path {
	if len(of) > len(field) {
		if i, ok := of[len(field)].(ast.PathIndex); ok {
			return append(slices.Clone(field), i)
		}
	}
	return field
}

// presentFault presents an error of the gateway. Its path leads to the field in the response,
// and the extension `argument` from the field to the invalid argument.
func presentFault(ctx context.Context, out *gqlerror.Error, f *fault.Error, outcome fault.Outcome) {
	field := out.Path
	if fc := graphql.GetFieldContext(ctx); fc != nil {
		field = pathWithin(fc.Path(), out.Path)
	}
	argument := f.Argument
	if argument == "" && f.Code == fault.BadUserInput && len(out.Path) > len(field) {
		argument = fault.ArgumentAt(out.Path[len(field):]) // gqlgen could not decode it, and only the path names it
	}
	out.Extensions["code"] = f.Code
	message := f.Message
	if f.Outcome == "" && outcome != fault.NotSent { // otherwise the message contains it, or concerns an earlier step
		message += Consequence(outcome)
	}
	out.Message, out.Path = message, field
	if f.RetryAfter > 0 {
		out.Extensions[ExtensionRetryAfter] = seconds(f.RetryAfter)
	}
	if argument != "" {
		out.Message = argument + ": " + message
		out.Extensions["argument"] = argument
	}
	_ = graphql.AddFieldLocationToError(ctx, out) // gqlgen omits it for an argument that it could not decode
}

// validatorMessage returns a message of gqlgen's parser and validator, with the argument that
// only the path names, and without quoted texts.
func validatorMessage(ctx context.Context, e *gqlerror.Error) string {
	if graphql.HasOperationContext(ctx) {
		op := graphql.GetOperationContext(ctx)
		if op.Doc != nil && op.Operation == nil && op.OperationName == "" && len(op.Doc.Operations) > 1 {
			return "the document holds several operations: name the one to execute by operationName"
		}
	}
	if code := e.Extensions["code"]; code == string(fault.BadUserInput) {
		return e.Message // of this gateway
	}
	if len(e.Path) < 2 || e.Path[0] != ast.PathName("variable") {
		return redactStrings(e.Message)
	}
	said := e.Message
	if _, typ, ok := strings.Cut(said, " as "); ok && strings.HasPrefix(said, "cannot use value ") {
		said = "is no " + typ // the quoted value is not the caller's
	}
	return "variable $" + fault.ArgumentAt(e.Path[1:]) + ": " + said
}

// consoleMessage describes a failed call, and quotes the console's reason.
func consoleMessage(code fault.Code, e *consoleclient.Error, outcome fault.Outcome) string {
	said := e.Detail
	if said == "" {
		said = e.Title
	}
	message := defaultMessage(code)
	switch {
	case code == fault.RateLimited && e.Unsent && !e.AskedToWait(): // the gateway is busy, not the console
		message, said = said, ""
	case e.Operation == consoleclient.OpPutPackageFile:
		message = storageMessage(code)
	}
	if outcome == fault.NotSent && e.Unsent {
		message += ", and nothing was sent"
	} else {
		message += Consequence(outcome)
	}
	if said == "" {
		return message
	}
	return message + ": " + said
}

func defaultMessage(code fault.Code) string {
	switch code {
	case fault.Unauthenticated:
		return "the console does not accept the credentials"
	case fault.Forbidden:
		return "the console forbids this"
	case fault.NotFound:
		return "the console does not have this"
	case fault.BadUserInput:
		return "the console refuses this input"
	case fault.Conflict:
		return "the console reports a conflict"
	case fault.RateLimited:
		return "the console asks to slow down"
	case fault.UpstreamUnavailable:
		return "the console is not available"
	case fault.UpstreamTimeout:
		return "the console did not answer in time"
	case fault.UpstreamInvalidResponse:
		return "the console's answer cannot be understood"
	default:
		return "the console failed"
	}
}

// storageMessage is defaultMessage for the storage of uploaded files.
func storageMessage(code fault.Code) string {
	switch code {
	case fault.UpstreamUnavailable:
		return "the storage of the upload is not available"
	case fault.UpstreamTimeout:
		return "the storage of the upload did not answer in time"
	default:
		return "the storage of the upload failed"
	}
}

func consoleExtension(e *consoleclient.Error) map[string]any {
	said := map[string]any{"status": e.Status}
	if e.Status < http.StatusBadRequest || e.Err != nil {
		return said // the client sets the title of an answer that it could not read
	}
	if e.Title != "" {
		said["title"] = e.Title
	}
	if e.Detail != "" {
		said["detail"] = e.Detail
	}
	return said
}

// Recover converts a panic of a resolver to an error without details.
func (p Presenter) Recover(ctx context.Context, panicked any) error {
	fault.LogPanic(ctx, p.Log, PanicMessage, panicked)
	return InternalError()
}

// PanicMessage is the log message of a panic in an operation.
const PanicMessage = "panic in an operation"

// InternalError is the error that callers get for a panic.
func InternalError() *gqlerror.Error { return Refusal(fault.Internal, "internal error") }

// Refusal returns a GraphQL error with a code.
func Refusal(code fault.Code, format string, args ...any) *gqlerror.Error {
	err := gqlerror.Errorf(format, args...)
	err.Extensions = map[string]any{"code": string(code)}
	return err
}

// RefusalOf returns the GraphQL error of a fault that no resolver presents.
func RefusalOf(f *fault.Error) *gqlerror.Error {
	err := Refusal(f.Code, "%s", f.Error())
	if f.Argument != "" {
		err.Extensions["argument"] = f.Argument
	}
	if f.RetryAfter > 0 {
		err.Extensions[ExtensionRetryAfter] = seconds(f.RetryAfter)
	}
	return err
}
