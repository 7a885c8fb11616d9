#include "bindings/compiled.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "bindings/array_object.h"
#include "bindings/compute.h"
#include "bindings/create.h"
#include "bindings/expression.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "expr/text.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Raise;
using capi::Ref;

// What a call needs and no Python object holds.
struct Function {
  std::vector<expr::NodeRef> roots;
  std::vector<std::string> columns;  // in the order of their first use
  ComputationCache cache;

  // columns.size() where there is none of that name
  size_t PlaceOf(const std::string& name) const {
    return static_cast<size_t>(std::ranges::find(columns, name) - columns.begin());
  }
  std::string ColumnsText() const {
    std::string text;
    for (const std::string& name : columns) text += (text.empty() ? "" : ", ") + name;
    return text;
  }
};

struct CompiledObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  ModuleState* state;
  PyObject* expressions;  // a tuple, which keeps the arrays in them
  PyObject* keys;         // a tuple: the results are a dict with these; null: they are not
  bool is_one;            // the result of the only expression itself
  Function* function;
};

CompiledObject* AsCompiled(PyObject* object) { return reinterpret_cast<CompiledObject*>(object); }

// ---- calling ----

// The arguments of a call: those of columns by their places, null where nothing was given.
struct Arguments {
  std::vector<PyObject*> columns;
  PyObject* out = nullptr;
  PyObject* threads = nullptr;
};

void AddNamed(const Function& function, const std::string& name, PyObject* value,
              Arguments* arguments) {
  const size_t place = function.PlaceOf(name);
  if ((name == "out" || name == "threads") && place < function.columns.size()) {
    Raise(PyExc_TypeError,
          "'%s' is a column as well as an argument of this function: give the column by position "
          "or in a record array",
          name.c_str());
  }
  if (name == "out") {
    arguments->out = value;
    return;
  }
  if (name == "threads") {
    arguments->threads = value;
    return;
  }
  if (place == function.columns.size()) {
    Raise(PyExc_TypeError, "there is no column '%s'; this expression has %zu (%s)", name.c_str(),
          place, function.ColumnsText().c_str());
  }
  if (arguments->columns[place] != nullptr) {
    Raise(PyExc_TypeError, "column '%s' is given twice", name.c_str());
  }
  arguments->columns[place] = value;
}

Arguments ArgumentsFrom(const Function& function, PyObject* const* args, size_t nargs,
                        PyObject* kwnames) {
  const size_t count = function.columns.size();
  if (nargs > count) {
    Raise(PyExc_TypeError, "this expression has %zu columns (%s), %zu arrays were given", count,
          function.ColumnsText().c_str(), nargs);
  }
  Arguments arguments;
  arguments.columns.resize(count);
  std::copy_n(args, nargs, arguments.columns.begin());
  const size_t named = kwnames == nullptr ? 0 : static_cast<size_t>(PyTuple_GET_SIZE(kwnames));
  for (size_t i = 0; i < named; ++i) {
    PyObject* const name = PyTuple_GET_ITEM(kwnames, static_cast<Py_ssize_t>(i));
    AddNamed(function, capi::Text(name), args[nargs + i], &arguments);
  }
  return arguments;
}

// A record array that has all the columns as fields: ours, or another one's as ours. Else empty.
Ref RecordsFrom(ModuleState* state, const Function& function, PyObject* object) {
  if (!IsArray(state, object)) {
    const Ref dtype = capi::AttributeOrNull(object, "dtype");
    const Ref names = dtype ? capi::AttributeOrNull(dtype.get(), "names") : Ref();
    if (!capi::Given(names.get())) return Ref();
  }
  Ref array = AsArrayObject(state, object, nullptr, nullptr);
  const base::DType& dtype = AsArray(array.get())->view.dtype();
  const bool has_all = std::ranges::all_of(
      function.columns, [&](const std::string& name) { return dtype.FindField(name) != nullptr; });
  return has_all ? std::move(array) : Ref();
}

Columns ColumnsOf(const CompiledObject* self, const Arguments& arguments, size_t nargs) {
  const Function& function = *self->function;
  Columns columns(function.columns.size());
  const auto given = std::ranges::count_if(arguments.columns, [](auto* o) { return o != nullptr; });
  if (nargs == 1 && given == 1) {
    if (const Ref records = RecordsFrom(self->state, function, arguments.columns[0])) {
      for (const std::string& name : function.columns) {
        const Ref field = Check(PyMapping_GetItemString(records.get(), name.c_str()));
        columns.Add(self->state, name, field.get());
      }
      return columns;
    }
  }
  for (size_t i = 0; i < function.columns.size(); ++i) {
    if (arguments.columns[i] == nullptr) continue;  // said by what computes
    columns.Add(self->state, function.columns[i], arguments.columns[i]);
  }
  return columns;
}

Ref DictOf(PyObject* keys, const std::vector<Ref>& results) {
  Ref dict = Check(PyDict_New());
  for (size_t i = 0; i < results.size(); ++i) {
    PyObject* const key = PyTuple_GET_ITEM(keys, static_cast<Py_ssize_t>(i));
    capi::CheckStatus(PyDict_SetItem(dict.get(), key, results[i].get()));
  }
  return dict;
}

Ref Call(PyObject* callable, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  const CompiledObject* self = AsCompiled(callable);
  const auto nargs = static_cast<size_t>(PyVectorcall_NARGS(nargsf));
  Function& function = *self->function;
  const Arguments arguments = ArgumentsFrom(function, args, nargs, kwnames);
  const Columns columns = ColumnsOf(self, arguments, nargs);
  const Ref outs = self->is_one ? Ref() : OutsFrom(arguments.out, function.roots.size());
  const auto places = self->is_one ? std::span(&arguments.out, 1) : ItemsOf(outs);
  std::vector<Ref> results =
      Compute(self->state, function.roots, &function.cache, columns, places, arguments.threads);
  if (self->is_one) return std::move(results[0]);
  return self->keys != nullptr ? DictOf(self->keys, results) : TupleOf(std::move(results));
}

// ---- what it says of itself ----

Ref Repr(PyObject* self) {
  const std::string columns = AsCompiled(self)->function->ColumnsText();
  return Check(PyUnicode_FromFormat("<spanflow compiled expression of %s>",
                                    columns.empty() ? "no columns" : columns.c_str()));
}

Ref GetColumns(PyObject* self, void*) {
  std::vector<Ref> names;
  for (const std::string& name : AsCompiled(self)->function->columns) {
    names.push_back(
        Check(PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size()))));
  }
  return TupleOf(std::move(names));
}

// Pickled as the call that made it.
Ref Reduce(PyObject* object, PyObject*) {
  const CompiledObject* self = AsCompiled(object);
  const Ref module = Check(PyImport_ImportModule("spanflow._core"));
  const Ref compile = Check(PyObject_GetAttrString(module.get(), "compile"));
  Ref made = Ref::Borrow(self->expressions);
  if (self->is_one) {
    made = Ref::Borrow(capi::At(made, 0));
  } else if (self->keys != nullptr) {
    made = Check(PyDict_New());
    const Ref keys = Ref::Borrow(self->keys);
    const Ref values = Ref::Borrow(self->expressions);
    for (Py_ssize_t i = 0; i < capi::Count(keys); ++i) {
      capi::CheckStatus(PyDict_SetItem(made.get(), capi::At(keys, i), capi::At(values, i)));
    }
  }
  return Check(Py_BuildValue("(O(O))", compile.get(), made.get()));
}

// ---- the type ----

// As an expression, it needs its parts as long as it lives: no tp_clear. Tuples are cleared.
int Traverse(PyObject* object, visitproc visit, void* arg) {
  const CompiledObject* self = AsCompiled(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->expressions);
  Py_VISIT(self->keys);
  return 0;
}

void Dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  CompiledObject* self = AsCompiled(object);
  PyTypeObject* type = Py_TYPE(object);
  delete self->function;
  Py_XDECREF(self->expressions);
  Py_XDECREF(self->keys);
  type->tp_free(object);
  Py_DECREF(type);
}

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(CompiledObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyGetSetDef getset[] = {{"columns", reinterpret_cast<getter>(capi::Slot<&GetColumns>()), nullptr,
                         "The names of its columns, in the order of their first use.", nullptr},
                        {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMethodDef methods[] = {{"__reduce__", capi::Method<&Reduce>(), METH_NOARGS, nullptr},
                         {nullptr, nullptr, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&Dealloc)},
                       {Py_tp_traverse, reinterpret_cast<void*>(&Traverse)},
                       {Py_tp_call, reinterpret_cast<void*>(&PyVectorcall_Call)},
                       {Py_tp_repr, capi::Slot<&Repr>()},
                       {Py_tp_members, members},
                       {Py_tp_getset, getset},
                       {Py_tp_methods, methods},
                       {0, nullptr}};

// ---- compile() ----

Ref Compile(PyObject* module, PyObject* object) {
  ModuleState* state = StateOf(module);
  const bool is_one = IsExpression(state, object);
  const bool is_dict = PyDict_Check(object);
  Ref keys = is_dict ? capi::Items(object) : Ref();
  const Ref values = is_dict ? Check(PyDict_Values(object)) : Ref();
  Ref expressions =
      is_one ? Check(PyTuple_Pack(1, object)) : capi::Items(is_dict ? values.get() : object);
  auto function = std::make_unique<Function>();
  function->roots = NodesFrom(state, "compile", ItemsOf(expressions));
  for (const expr::NodeRef& root : function->roots) {
    for (std::string& name : expr::ColumnsOf(*root)) {
      if (function->PlaceOf(name) == function->columns.size()) {
        function->columns.push_back(std::move(name));
      }
    }
  }
  Ref compiled = Check(state->compiled_type->tp_alloc(state->compiled_type, 0));
  CompiledObject* self = AsCompiled(compiled.get());
  self->vectorcall = capi::Entry<&Call>;
  self->state = state;
  self->expressions = expressions.release();
  self->keys = keys.release();
  self->is_one = is_one;
  self->function = function.release();
  return compiled;
}

}  // namespace

PyType_Spec compiled_spec = {"spanflow.Compiled", sizeof(CompiledObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                                 Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                             slots};

PyMethodDef compiled_functions[] = {
    {"compile", capi::Method<&Compile>(), METH_O,
     "compile($module, expressions, /)\n--\n\n"
     "A function that computes an expression, a sequence or a dict of them for given columns.\n\n"
     "Its arguments are the columns, by position in the order of their first use (.columns), by\n"
     "name, or as one record array with fields of these names; and, by name, out and threads as\n"
     "compute() takes them. It returns one result, a tuple, or a dict, as compute() does. It may "
     "be\n"
     "called by any number of threads.\n\n"
     "Raises TypeError for anything but expressions; a call raises TypeError for arguments that\n"
     "are no columns, and TypeError and ValueError as Expression.compute does. A column named out\n"
     "or threads goes by position or in a record array."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
