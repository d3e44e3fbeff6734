package runtime

// Method is a built-in that belongs to an Object: what Object.Field returns
// for x.name where that is a function. It is bound like any built-in, and its
// function finds the object in Args.Self. Method has no wire form.
type Method struct {
	Decl *Builtin
	Self Object
}

// Callable is how a parameter of type TCallable arrives: the function of the
// script, which may have been made in this pass. It runs within the call that
// it was given to, in the same goroutine, and is of no use afterwards. Its
// error is a *Error with position and stack, unless the pass itself is ending;
// of the value it gives what is plain data.
type Callable func(args ...Value) (Value, error)

// Lister is a Module that can tell which functions its main file has: named
// ones that it left at the top level, by position.
type Lister interface {
	Functions() []Func
}
