#include "bindings/expression.h"

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "bindings/compute.h"
#include "bindings/convert.h"
#include "bindings/create.h"
#include "bindings/dtype_object.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "expr/text.h"

namespace spanflow::bindings {

namespace {

using array::View;
using array::Weak;
using base::DType;
using base::Kind;
using capi::Check;
using capi::Raise;
using capi::Ref;

// `parts` keep the operands' bytes alive.
Ref NewExpression(ModuleState* state, expr::NodeRef node, std::span<const Ref> parts) {
  Ref object = Check(state->expression_type->tp_alloc(state->expression_type, 0));
  ExpressionObject* self = AsExpression(object.get());
  self->state = state;
  new (&self->node) expr::NodeRef(std::move(node));
  self->last = new ComputationCache;
  for (size_t i = 0; i < parts.size(); ++i) self->parts[i] = Py_XNewRef(parts[i].get());
  return object;
}

expr::Number NumberFrom(PyObject* object) {
  expr::Number number;
  if (PyBool_Check(object)) {
    number.weak = Weak::kBool;
    number.integer = object == Py_True;
  } else if (PyLong_Check(object)) {
    int overflow;
    number.integer = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow > 0) {
      number.integer = static_cast<int64_t>(PyLong_AsUnsignedLongLong(object));
      number.is_large = true;
    } else if (overflow < 0) {
      Raise(PyExc_OverflowError, "Python integer %R does not fit 64 bits", object);
    }
    capi::CheckStatus(PyErr_Occurred() != nullptr ? -1 : 0);
  } else if (PyFloat_Check(object)) {
    number.weak = Weak::kFloat;
    number.re = PyFloat_AS_DOUBLE(object);
  } else {
    const Py_complex value = PyComplex_AsCComplex(object);
    number = {Weak::kComplex, 0, false, value.real, value.imag};
  }
  return number;
}

// An operand: its node, and the object that keeps its bytes alive (none for a number).
struct Part {
  expr::NodeRef node;
  Ref owner;
};

Part PartFrom(ModuleState* state, PyObject* object) {
  if (IsExpression(state, object)) return {AsExpression(object)->node, Ref::Borrow(object)};
  if (!IsArray(state, object) && IsPythonScalar(object)) {
    return {expr::FromNumber(NumberFrom(object)), {}};
  }
  Ref array = AsArrayObject(state, object, nullptr, nullptr);
  CheckOpen(AsArray(array.get()));
  return {expr::FromArray(AsArray(array.get())->view), std::move(array)};
}

Ref Lazy(PyObject* module, PyObject* object) {
  ModuleState* state = StateOf(module);
  if (IsExpression(state, object)) return Ref::Borrow(object);
  Ref array = AsArrayObject(state, object, nullptr, nullptr);
  CheckOpen(AsArray(array.get()));
  const View& view = AsArray(array.get())->view;
  if (!view.dtype().numeric()) {
    Raise(PyExc_TypeError, "lazy() takes arrays of numbers, not of %s%s",
          view.dtype().ToString().c_str(),
          view.dtype().kind() == Kind::kRecord ? "; take one field, as in a['name']" : "");
  }
  return NewExpression(state, expr::FromArray(view), {&array, 1});
}

Ref Column(PyObject* module, PyObject* name) {
  if (!PyUnicode_Check(name)) {
    Raise(PyExc_TypeError, "col() takes the name of a column, got %.200s", Py_TYPE(name)->tp_name);
  }
  return NewExpression(StateOf(module), expr::FromColumn(capi::Text(name)), {});
}

// ---- operators and methods ----

template <simd::Op kOp>
Ref Unary(PyObject* self) {
  PyObject* const operands[] = {self};
  return LazyOperation(AsExpression(self)->state, kOp, operands, nullptr);
}

template <simd::Op kOp>
Ref Binary(PyObject* left, PyObject* right) {
  for (PyObject* side : {left, right}) {
    PyObject* module = PyType_GetModuleByDef(Py_TYPE(side), &module_def);
    if (module == nullptr) {
      PyErr_Clear();
      continue;
    }
    ModuleState* state = StateOf(module);
    if (!IsExpression(state, side)) continue;
    PyObject* other = side == left ? right : left;
    if (!IsExpression(state, other) && !IsOperandLike(state, other)) break;
    PyObject* const operands[] = {left, right};
    return LazyOperation(state, kOp, operands, nullptr);
  }
  return capi::NotImplemented();
}

Ref Divmod(PyObject* left, PyObject* right) {
  const Ref quotient = Binary<simd::Op::kFloorDivide>(left, right);
  if (quotient.get() == Py_NotImplemented) return capi::NotImplemented();
  const Ref rest = Binary<simd::Op::kRemainder>(left, right);
  return Check(PyTuple_Pack(2, quotient.get(), rest.get()));
}

Ref Power(PyObject* base, PyObject* exponent, PyObject* modulus) {
  if (modulus != Py_None) return capi::NotImplemented();
  return Binary<simd::Op::kPower>(base, exponent);
}

Ref RichCompare(PyObject* self, PyObject* other, int op) {
  static constexpr simd::Op kOps[] = {simd::Op::kLess,    simd::Op::kLessEqual,
                                      simd::Op::kEqual,   simd::Op::kNotEqual,
                                      simd::Op::kGreater, simd::Op::kGreaterEqual};
  ModuleState* state = AsExpression(self)->state;
  if (!IsExpression(state, other) && !IsOperandLike(state, other)) return capi::NotImplemented();
  PyObject* const operands[] = {self, other};
  return LazyOperation(state, kOps[op], operands, nullptr);
}

int ToBool(PyObject*) {
  Raise(
      PyExc_TypeError,
      "an expression has no truth value before it is computed; use & | ~ instead of and, or, not");
}

Ref Clip(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<2> kSignature("clip", {"lower", "upper"}, 2, 0);
  const auto [lower, upper] = kSignature.Parse(args, nargs, kwnames);
  PyObject* const operands[] = {self, lower == nullptr ? Py_None : lower,
                                upper == nullptr ? Py_None : upper};
  return ApplyOperation(AsExpression(self)->state, simd::Op::kClip, operands, nullptr);
}

template <simd::Reduction kReduction>
Ref ReduceMethod(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<5> kSignature(
      "reduction", {"axis", "keepdims", "ddof", "correction", "where"}, 1, 0);
  const auto [axis, keepdims, ddof, correction, where] =
      kSignature.ParseAs(simd::InfoOf(kReduction).name, args, nargs, kwnames);
  return LazyReduction(AsExpression(self)->state, kReduction, self,
                       {axis, nullptr, keepdims, ddof, correction, where});
}

Ref AsType(PyObject* self, PyObject* object) {
  ModuleState* state = AsExpression(self)->state;
  const DType dtype = DTypeFromObject(state, object);
  if (!dtype.numeric()) {
    Raise(PyExc_TypeError, "an expression casts to numbers, not to %s", dtype.ToString().c_str());
  }
  const Ref part = Ref::Borrow(self);
  return NewExpression(state, expr::Cast(AsExpression(self)->node, dtype.kind()), {&part, 1});
}

// expression[mask]
Ref Filtered(PyObject* self, PyObject* key) {
  ModuleState* state = AsExpression(self)->state;
  if (!IsExpression(state, key) && !IsArray(state, key) && !PyObject_CheckBuffer(key)) {
    Raise(PyExc_TypeError,
          "an expression is indexed by a bool mask (an expression or an array), got %.200s; "
          "compute() first, or index the array before lazy()",
          Py_TYPE(key)->tp_name);
  }
  Part mask = PartFrom(state, key);
  const Ref parts[] = {Ref::Borrow(self), std::move(mask.owner)};
  return NewExpression(state, expr::Filter(AsExpression(self)->node, std::move(mask.node)), parts);
}

Ref ComputeMethod(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("compute", {"out", "columns", "threads"}, 1, 0);
  auto [out, columns, threads] = kSignature.Parse(args, nargs, kwnames);
  const ExpressionObject* expression = AsExpression(self);
  ModuleState* state = expression->state;
  const Columns named = ColumnsFrom(state, columns);
  return std::move(
      Compute(state, {&expression->node, 1}, expression->last, named, {&out, 1}, threads)[0]);
}

// ---- what an expression says of itself ----

Ref Explain(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<1> kSignature("explain", {"columns"}, 1, 0);
  const ExpressionObject* expression = AsExpression(self);
  const Columns columns = ColumnsFrom(expression->state, kSignature.Parse(args, nargs, kwnames)[0]);
  const std::string text =
      ComputationFor({&expression->node, 1}, expression->last, columns)->Explain();
  PyObject* out = PySys_GetObject("stdout");
  if (out != nullptr && out != Py_None) {
    const Ref held = Ref::Borrow(out);
    capi::CheckStatus(PyFile_WriteString(text.c_str(), held.get()));
  }
  return capi::None();
}

Ref Repr(PyObject* self) {
  const std::string text = expr::ToString(*AsExpression(self)->node);
  return Check(PyUnicode_FromFormat("<spanflow expression %s>", text.c_str()));
}

// A list with (role, text, operands) of each part.
Ref PartList(const expr::Node& root) {
  const std::vector<expr::Part> parts = expr::PartsOf(root);
  Ref list = Check(PyList_New(0));
  for (const expr::Part& part : parts) {
    std::vector<Ref> places;
    for (const size_t place : part.operands) places.push_back(Check(PyLong_FromSize_t(place)));
    const Ref operands = TupleOf(std::move(places));
    const Ref entry = Check(Py_BuildValue("(ssO)", part.role, part.text.c_str(), operands.get()));
    capi::CheckStatus(PyList_Append(list.get(), entry.get()));
  }
  return list;
}

Ref ReprHtml(PyObject* self, PyObject*) {
  const Ref drawing = Check(PyImport_ImportModule("spanflow._drawing"));
  const Ref parts = PartList(*AsExpression(self)->node);
  return Check(PyObject_CallMethod(drawing.get(), "expression_html", "OO", self, parts.get()));
}

Ref GetColumns(PyObject* self, void*) {
  const std::vector<std::string> names = expr::ColumnsOf(*AsExpression(self)->node);
  Ref tuple = Check(PyTuple_New(static_cast<Py_ssize_t>(names.size())));
  for (size_t i = 0; i < names.size(); ++i) {
    Ref name = Check(
        PyUnicode_FromStringAndSize(names[i].data(), static_cast<Py_ssize_t>(names[i].size())));
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), name.release());
  }
  return tuple;
}

// Of an expression of arrays; one of columns has no type yet.
expr::Graph GraphOf(PyObject* self) {
  return capi::Take(expr::Resolve({&AsExpression(self)->node, 1}, {}));
}

Ref GetDType(PyObject* self, void*) {
  const expr::Graph graph = GraphOf(self);
  return WrapDType(AsExpression(self)->state, DType(graph[graph.roots[0]].kind));
}

Ref GetShape(PyObject* self, void*) {
  const expr::Graph graph = GraphOf(self);
  const expr::Value& value = graph[graph.roots[0]];
  if (value.domain == expr::kNoValue) return DimsTuple(value.shape);
  Raise(PyExc_ValueError, "a filtered expression has no shape before it is computed");
}

// ---- the type ----

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  for (PyObject* part : AsExpression(self)->parts) Py_VISIT(part);
  return 0;
}

// Nodes need the bytes that the parts keep as long as they live. What breaks cycles is the lease of
// foreign bytes, which lies in every one of them.
int Clear(PyObject*) { return 0; }

void Dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  Py_TRASHCAN_BEGIN(object, Dealloc)
  ExpressionObject* self = AsExpression(object);
  PyTypeObject* type = Py_TYPE(object);
  delete self->last;
  self->node.~shared_ptr();
  for (PyObject* part : self->parts) Py_XDECREF(part);
  type->tp_free(object);
  Py_DECREF(type);
  Py_TRASHCAN_END
}

PyMethodDef methods[] = {
    {"clip", capi::Method<&Clip>(), METH_FASTCALL | METH_KEYWORDS,
     "clip($self, /, lower=None, upper=None)\n--\n\nSee spanflow.clip."},
#define SPANFLOW_ROW(Name, name, ...)                                                            \
  {name, capi::Method<&ReduceMethod<simd::Reduction::k##Name>>(), METH_FASTCALL | METH_KEYWORDS, \
   name                                                                                          \
   "($self, /, axis=None, *, keepdims=False, ddof=0, correction=0, where=True)\n--\n\nSee "      \
   "spanflow." name "."},
    SPANFLOW_PLAIN_REDUCTIONS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
        {"compute", capi::Method<&ComputeMethod>(), METH_FASTCALL | METH_KEYWORDS,
         "compute($self, /, out=None, *, columns=None, threads=None)\n--\n\n"
         "The result: a new array, a Python number where it is 0-d, or out.\n\n"
         "All operations run in one pass over the data, block by block in the L1 cache; a "
         "reduction\n"
         "whose result is used further ends a pass. out is a writable array of the result's "
         "shape to\n"
         "which it casts (same kind), and may overlap what is read. columns maps the names of "
         "col()\n"
         "to arrays. threads says how many may work; the result does not depend on it.\n\n"
         "Raises TypeError for dtypes that an operation does not have, ValueError for shapes "
         "that do\n"
         "not broadcast, columns that are not given, min and max of nothing and closed "
         "arrays,\n"
         "OverflowError for a Python int that does not fit, MemoryError before any work is "
         "done,\n"
         "OSError for missing pages of a mapped file."},
    {"explain", capi::Method<&Explain>(), METH_FASTCALL | METH_KEYWORDS,
     "explain($self, /, columns=None)\n--\n\n"
     "Prints how it would be computed: the passes, their steps and registers, the elements of a\n"
     "block, the bytes read and written. in0, in1, … are what is read, r0, r1, … registers in the\n"
     "L1 cache, out0, … the results. columns maps the names of col() to arrays."},
    {"_repr_html_", capi::Method<&ReprHtml>(), METH_NOARGS,
     "_repr_html_($self, /)\n--\n\nThe graph as a picture, for notebooks."},
    {"astype", capi::Method<&AsType>(), METH_O,
     "astype($self, dtype, /)\n--\n\nThe expression cast to a numeric dtype, as C casts numbers."},
    {"__reduce__", capi::Method<&ReduceExpression>(), METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef getset[] = {
    {"columns", reinterpret_cast<getter>(capi::Slot<&GetColumns>()), nullptr,
     "The names of the columns that it needs, in the order of their first use.", nullptr},
    {"dtype", reinterpret_cast<getter>(capi::Slot<&GetDType>()), nullptr,
     "The dtype of the result. ValueError while there are columns.", nullptr},
    {"shape", reinterpret_cast<getter>(capi::Slot<&GetShape>()), nullptr,
     "The shape of the result. ValueError while there are columns, and of filtered expressions.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&Dealloc)},
                       {Py_tp_repr, capi::Slot<&Repr>()},
                       {Py_tp_getset, getset},
                       {Py_tp_traverse, reinterpret_cast<void*>(&Traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(&Clear)},
                       {Py_tp_richcompare, capi::Slot<&RichCompare>()},
                       {Py_tp_methods, methods},
                       {Py_mp_subscript, capi::Slot<&Filtered>()},
                       {Py_nb_add, capi::Slot<&Binary<simd::Op::kAdd>>()},
                       {Py_nb_subtract, capi::Slot<&Binary<simd::Op::kSubtract>>()},
                       {Py_nb_multiply, capi::Slot<&Binary<simd::Op::kMultiply>>()},
                       {Py_nb_true_divide, capi::Slot<&Binary<simd::Op::kDivide>>()},
                       {Py_nb_floor_divide, capi::Slot<&Binary<simd::Op::kFloorDivide>>()},
                       {Py_nb_remainder, capi::Slot<&Binary<simd::Op::kRemainder>>()},
                       {Py_nb_divmod, capi::Slot<&Divmod>()},
                       {Py_nb_power, capi::Slot<&Power>()},
                       {Py_nb_lshift, capi::Slot<&Binary<simd::Op::kLeftShift>>()},
                       {Py_nb_rshift, capi::Slot<&Binary<simd::Op::kRightShift>>()},
                       {Py_nb_and, capi::Slot<&Binary<simd::Op::kBitwiseAnd>>()},
                       {Py_nb_or, capi::Slot<&Binary<simd::Op::kBitwiseOr>>()},
                       {Py_nb_xor, capi::Slot<&Binary<simd::Op::kBitwiseXor>>()},
                       {Py_nb_negative, capi::Slot<&Unary<simd::Op::kNegative>>()},
                       {Py_nb_positive, capi::Slot<&Unary<simd::Op::kPositive>>()},
                       {Py_nb_absolute, capi::Slot<&Unary<simd::Op::kAbsolute>>()},
                       {Py_nb_invert, capi::Slot<&Unary<simd::Op::kInvert>>()},
                       {Py_nb_bool, capi::Slot<&ToBool>()},
                       {0, nullptr}};

PyType_Spec expression_spec = {"spanflow.Expression", sizeof(ExpressionObject), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                                   Py_TPFLAGS_DISALLOW_INSTANTIATION,
                               slots};

}  // namespace

PyTypeObject* MakeExpressionType(PyObject* module) {
  PyTypeObject* type = MakeType(module, &expression_spec, true);
  // Tells NumPy to leave ndarray + expression to the expression.
  capi::CheckStatus(PyDict_SetItemString(type->tp_dict, "__array_ufunc__", Py_None));
  PyType_Modified(type);
  return type;
}

std::vector<expr::NodeRef> NodesFrom(const ModuleState* state, const char* name,
                                     std::span<PyObject* const> objects) {
  std::vector<expr::NodeRef> nodes;
  for (PyObject* object : objects) {
    if (!IsExpression(state, object)) {
      Raise(PyExc_TypeError, "%s() takes expressions (see lazy() and col()), got %.200s", name,
            Py_TYPE(object)->tp_name);
    }
    nodes.push_back(AsExpression(object)->node);
  }
  return nodes;
}

bool HasExpression(const ModuleState* state, std::span<PyObject* const> operands) {
  return std::ranges::any_of(operands, [state](PyObject* o) { return IsExpression(state, o); });
}

Ref LazyOperation(ModuleState* state, simd::Op op, std::span<PyObject* const> operands,
                  PyObject* out) {
  if (capi::Given(out)) {
    Raise(PyExc_TypeError, "%s() of an expression takes no out; use .compute(out=...) at the end",
          simd::InfoOf(op).name);
  }
  std::vector<expr::NodeRef> nodes;
  std::array<Ref, 3> owners;
  for (size_t i = 0; i < operands.size(); ++i) {
    Part part = PartFrom(state, operands[i]);
    nodes.push_back(std::move(part.node));
    owners[i] = std::move(part.owner);
  }
  return NewExpression(state, expr::Apply(op, std::move(nodes)), owners);
}

namespace {

// With where=, the reduction of what the mask leaves.
Ref LazyReductionWhere(ModuleState* state, simd::Reduction reduction, PyObject* object,
                       const ReductionCall& call) {
  const char* name = simd::InfoOf(reduction).name;
  if (simd::IsPlace(reduction)) {
    Raise(PyExc_TypeError, "%s() takes no where: it says a place among all elements", name);
  }
  if (capi::Given(call.axis) || call.KeepsDims()) {
    Raise(PyExc_TypeError,
          "%s() of an expression takes where for all elements only, not with axis or keepdims; "
          "spanflow.where(mask, x, neutral) can take the place of the others",
          name);
  }
  const Ref mask = IsExpression(state, call.where)
                       ? Ref::Borrow(call.where)
                       : AsArrayObject(state, call.where, nullptr, nullptr);
  const Ref filtered = Filtered(object, mask.get());
  return LazyReduction(state, reduction, filtered.get(),
                       {nullptr, nullptr, nullptr, call.ddof, call.correction});
}

}  // namespace

Ref LazyReduction(ModuleState* state, simd::Reduction reduction, PyObject* object,
                  const ReductionCall& call) {
  if (capi::Given(call.out)) {
    Raise(PyExc_TypeError, "%s() of an expression takes no out; use .compute(out=...) at the end",
          simd::InfoOf(reduction).name);
  }
  if (capi::Given(call.initial) || capi::Given(call.precise)) {
    Raise(PyExc_TypeError, "%s() of an expression takes no initial and precise",
          simd::InfoOf(reduction).name);
  }
  if (capi::Given(call.where) && call.where != Py_True) {
    return LazyReductionWhere(state, reduction, object, call);
  }
  expr::ReduceOptions options{{}, call.KeepsDims(), call.Ddof()};
  if (capi::Given(call.axis)) {
    const base::Dims axes = ShapeFromObject(call.axis);
    options.axes.emplace(axes.begin(), axes.end());
  }
  const Ref part = Ref::Borrow(object);
  return NewExpression(
      state, expr::Reduce(reduction, AsExpression(object)->node, std::move(options)), {&part, 1});
}

PyMethodDef expression_functions[] = {
    {"lazy", capi::Method<&Lazy>(), METH_O,
     "lazy(a, /)\n--\n\n"
     "An expression that stands for the array a: what is made of it is computed later, in one\n"
     "pass over the data. a may be whatever asarray takes; its bytes are not copied.\n\n"
     "Raises TypeError for arrays that do not hold numbers."},
    {"col", capi::Method<&Column>(), METH_O,
     "col(name, /)\n--\n\n"
     "An expression that stands for the column of that name, which is given when it is computed."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
