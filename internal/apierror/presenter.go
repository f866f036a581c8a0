// Package apierror makes GraphQL errors of errors.
package apierror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// ExtensionRetryAfter is the member of an error's extensions that holds the seconds after which the console may be asked
// again. The longest of an answer is its header Retry-After as well (RFC 9110, section 10.2.3).
const ExtensionRetryAfter = "retryAfter"

// NotAnOperation is said of a body that is none.
const NotAnOperation = "the request body is not a JSON object of query, operationName, variables and extensions"

// Presenter makes GraphQL errors of errors.
type Presenter struct {
	// log receives the errors that callers are not told.
	Log *slog.Logger
	// CodeOfRule is the code of an error of a validation rule; empty: the error has its own.
	CodeOfRule func(rule string) fault.Code
}

// Present is the one place where an error becomes a GraphQL error. An error that is not
// made for callers goes to the log and leaves as INTERNAL.
func (p Presenter) Present(ctx context.Context, err error) *gqlerror.Error {
	outcome := outcomeAt(ctx, err)
	out := *graphql.DefaultErrorPresenter(ctx, err) // a copy: errors may be shared by fields
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
			out.Extensions[ExtensionRetryAfter] = int((answer.RetryAfter + time.Second - 1) / time.Second)
		}
	case errors.Is(err, context.DeadlineExceeded):
		out.Message, out.Extensions["code"] = meaning(fault.UpstreamTimeout)+Consequence(outcome), fault.UpstreamTimeout
	case errors.Is(err, context.Canceled):
		out.Message, out.Extensions["code"] = "the request was cancelled"+Consequence(outcome), fault.Internal
	case errors.As(err, &of) && p.CodeOfRule(of.Rule) != "":
		maps.Copy(out.Extensions, of.Extensions)
		out.Message, out.Extensions["code"] = of.Message, p.CodeOfRule(of.Rule)
	case errors.As(err, &of) && of.Extensions["code"] != nil:
		out.Message, out.Extensions = validatorMessage(ctx, of), maps.Clone(of.Extensions) // of gqlgen's parser and validator, or ours
	case strings.HasPrefix(out.Message, "json request body could not be decoded"):
		// gqlgen's own text repeats the body, variables with secrets included: neither caller nor log may see it.
		out.Message, out.Extensions["code"] = NotAnOperation, fault.BadUserInput
	default:
		p.Log.ErrorContext(ctx, "internal error", "error", err, "path", out.Path.String())
		out.Message, out.Extensions["code"] = "internal error"+Consequence(outcome), fault.Internal
	}
	var upload interface{ UploadID() string }
	if errors.As(err, &upload) {
		out.Message += ": the file is in its place, and completePackageUpload ends the upload"
		out.Extensions["uploadId"] = upload.UploadID()
	}
	if _, told := out.Extensions["outcome"]; outcome != "" && !told {
		out.Extensions["outcome"] = outcome
	}
	return &out
}

// maxQuoted bounds a value that an error repeats, in bytes.
const maxQuoted = 128

// withoutText takes out of a message of the parser or validator the text that it
// quotes where a text was expected or stands in the wrong place: that may be a
// password. Where it stands, the error's location says. A list or an object may hold such a
// text, and a value longer than a name is not repeated.
func withoutText(message string) string {
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

// presentFault presents an error of our own. The path is that of the field in the response, and
// the extension `argument` leads from the field to the argument at fault.
func presentFault(ctx context.Context, out *gqlerror.Error, f *fault.Error, outcome fault.Outcome) {
	field := out.Path
	if fc := graphql.GetFieldContext(ctx); fc != nil {
		field = fc.Path()
	}
	argument := f.Argument
	if argument == "" && f.Code == fault.BadUserInput && len(out.Path) > len(field) {
		argument = fault.ArgumentAt(out.Path[len(field):]) // gqlgen could not read it, and says so by the path alone
	}
	out.Extensions["code"] = f.Code
	message := f.Message
	if f.Outcome == "" && outcome != fault.NotSent { // else the message says it, or is about what came before
		message += Consequence(outcome)
	}
	out.Message, out.Path = message, field
	if argument != "" {
		out.Message = argument + ": " + message
		out.Extensions["argument"] = argument
	}
	_ = graphql.AddFieldLocationToError(ctx, out) // which gqlgen forgets where it could not read an argument
}

// validatorMessage is what gqlgen's parser and validator say, with what they
// leave to the path, or out.
func validatorMessage(ctx context.Context, e *gqlerror.Error) string {
	if graphql.HasOperationContext(ctx) {
		op := graphql.GetOperationContext(ctx)
		if op.Doc != nil && op.Operation == nil && op.OperationName == "" && len(op.Doc.Operations) > 1 {
			return "the document holds several operations: name the one to execute by operationName"
		}
	}
	if code := e.Extensions["code"]; code == string(fault.BadUserInput) {
		return e.Message // ours
	}
	if len(e.Path) < 2 || e.Path[0] != ast.PathName("variable") {
		return withoutText(e.Message)
	}
	said := e.Message
	if _, typ, ok := strings.Cut(said, " as "); ok && strings.HasPrefix(said, "cannot use value ") {
		said = "is no " + typ // the value in the message is not the caller's
	}
	return "variable $" + fault.ArgumentAt(e.Path[1:]) + ": " + said
}

// consoleMessage says what a failed call means, and what the console said of it.
func consoleMessage(code fault.Code, e *consoleclient.Error, outcome fault.Outcome) string {
	said := e.Detail
	if said == "" {
		said = e.Title
	}
	message := meaning(code)
	if e.Operation == consoleclient.OpPutPackageFile {
		message = meaningOfStorage(code)
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

func meaning(code fault.Code) string {
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

// meaningOfStorage is meaning for the storage that a file is uploaded to, which is not the console.
func meaningOfStorage(code fault.Code) string {
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
	if e.Status < http.StatusBadRequest {
		return said // the title is the client's word for an answer that it did not understand
	}
	if e.Title != "" {
		said["title"] = e.Title
	}
	if e.Detail != "" {
		said["detail"] = e.Detail
	}
	return said
}

// Recover turns a panic of a resolver into an error that tells the caller nothing.
func (p Presenter) Recover(ctx context.Context, panicked any) error {
	LogPanic(ctx, p.Log, panicked)
	return InternalError()
}

// LogPanic logs what a panic tells without its words, which may be anything.
func LogPanic(ctx context.Context, log *slog.Logger, panicked any) {
	log.ErrorContext(ctx, "panic in an operation", "type", fmt.Sprintf("%T", panicked), "stack", string(debug.Stack()))
}

// InternalError is what callers hear of a panic.
func InternalError() *gqlerror.Error { return Refusal(fault.Internal, "internal error") }

// Refusal returns a GraphQL error with a code.
func Refusal(code fault.Code, format string, args ...any) *gqlerror.Error {
	err := gqlerror.Errorf(format, args...)
	err.Extensions = map[string]any{"code": string(code)}
	return err
}
