package scope_test

import (
	"context"
	"fmt"

	"github.com/consoleql/consoleql/internal/scope"
)

// Or completes a partial scope with a default.
func Example() {
	named, err := scope.New("40143948-F359-4B9F-949F-AD179BCF1397", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := scope.NewContext(context.Background(), named)

	inForce, _ := scope.FromContext(ctx)
	fmt.Println(inForce.Complete())
	inForce = inForce.Or(scope.Scope{DepartmentID: "1c3464c8-6939-4b13-ba5d-45f44ed8b671"})
	fmt.Println(inForce.Complete(), inForce.CompanyID)
	// Output:
	// false
	// true 40143948-f359-4b9f-949f-ad179bcf1397
}

func ExampleParseID() {
	id, err := scope.ParseID("{40143948F3594B9F949FAD179BCF1397}")
	fmt.Println(id, err)
	_, err = scope.ParseID("Finance")
	fmt.Println(err)
	// Output:
	// 40143948-f359-4b9f-949f-ad179bcf1397 <nil>
	// "Finance" is not a GUID
}
