// spanflow.Operation: the rows of the operation tables as callables, and what they say of
// themselves.
#include <string>

#include "array/promote.h"
#include "bindings/operation.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Ref;

OperationObject* AsOperation(PyObject* self) { return reinterpret_cast<OperationObject*>(self); }

const char* NameOf(const OperationObject* self) {
  return self->is_reduction ? simd::InfoOf(self->reduction()).name : simd::InfoOf(self->op()).name;
}

Ref CallElementwise(OperationObject* self, PyObject* const* args, Py_ssize_t nargs,
                    PyObject* kwnames) {
  static constexpr capi::Signature<2> kUnary("unary", {"x", "out"}, 2, 1);
  static constexpr capi::Signature<3> kBinary("binary", {"x1", "x2", "out"}, 3, 2);
  static constexpr capi::Signature<4> kClip("clip", {"x", "lower", "upper", "out"}, 4, 1);
  static constexpr capi::Signature<4> kTernary("ternary", {"x1", "x2", "x3", "out"}, 4, 3);
  static constexpr capi::Signature<4> kWhere("where", {"condition", "x", "y", "out"}, 4, 3);
  const simd::Op op = self->op();
  const char* name = simd::InfoOf(op).name;
  switch (simd::InfoOf(op).arity) {
    case 1: {
      const auto values = kUnary.ParseAs(name, args, nargs, kwnames);
      return ApplyOperation(self->state, op, std::span(values).first(1), values[1]);
    }
    case 2: {
      const auto values = kBinary.ParseAs(name, args, nargs, kwnames);
      return ApplyOperation(self->state, op, std::span(values).first(2), values[2]);
    }
    default:
      break;
  }
  if (op == simd::Op::kClip) {
    auto values = kClip.ParseAs(name, args, nargs, kwnames);
    for (int i = 1; i < 3; ++i) {
      if (values[static_cast<size_t>(i)] == nullptr) values[static_cast<size_t>(i)] = Py_None;
    }
    return ApplyOperation(self->state, op, std::span(values).first(3), values[3]);
  }
  const auto values = op == simd::Op::kWhere ? kWhere.ParseAs(name, args, nargs, kwnames)
                                             : kTernary.ParseAs(name, args, nargs, kwnames);
  return ApplyOperation(self->state, op, std::span(values).first(3), values[3]);
}

Ref CallReduction(OperationObject* self, PyObject* const* args, Py_ssize_t nargs,
                  PyObject* kwnames) {
  static constexpr capi::Signature<9> kSignature(
      "reduction",
      {"a", "axis", "out", "keepdims", "ddof", "correction", "where", "initial", "precise"}, 2, 1);
  const auto [a, axis, out, keepdims, ddof, correction, where, initial, precise] =
      kSignature.ParseAs(simd::InfoOf(self->reduction()).name, args, nargs, kwnames);
  return ApplyReduction(self->state, self->reduction(), a,
                        {axis, out, keepdims, ddof, correction, where, initial, precise});
}

Ref Call(PyObject* callable, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  OperationObject* self = AsOperation(callable);
  const Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
  return self->is_reduction ? CallReduction(self, args, nargs, kwnames)
                            : CallElementwise(self, args, nargs, kwnames);
}

Ref Repr(PyObject* self) {
  return Check(PyUnicode_FromFormat("<spanflow operation '%s'>", NameOf(AsOperation(self))));
}
Ref GetName(PyObject* self, void*) {
  return Check(PyUnicode_FromString(NameOf(AsOperation(self))));
}
// "The error is at most 1.5 ULP.", where results are not rounded correctly.
std::string AccuracyText(double ulps) {
  if (ulps == 0) return "";
  const int tenths = static_cast<int>(ulps * 10 + 0.5);
  return "The error is at most " + std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) +
         " ULP (units in the last place).\n";
}

// "bool", "the common dtype of x1 and x2", …
const char* ResultText(simd::TypeRule rule) {
  switch (rule) {
    case simd::TypeRule::kSame:
      return "the common dtype of the operands";
    case simd::TypeRule::kNumber:
      return "the common dtype of the operands, int8 for bool";
    case simd::TypeRule::kAngle:
      return "a float dtype that holds the operand's parts";
    case simd::TypeRule::kCompare:
    case simd::TypeRule::kTruth:
      return "bool";
    case simd::TypeRule::kFloat:
      return "a float dtype that holds the operands";
    case simd::TypeRule::kDivide:
      return "the common dtype of the operands, float64 for bool and integers";
    case simd::TypeRule::kAbs:
      return "the operand's dtype, the real one for complex numbers";
    case simd::TypeRule::kSelect:
      return "the common dtype of x and y";
  }
  return "";
}
const char* ResultText(simd::ReduceRule rule) {
  switch (rule) {
    case simd::ReduceRule::kSum:
      return "int64 or uint64 for bool and integers, else the array's dtype";
    case simd::ReduceRule::kSame:
      return "the array's dtype";
    case simd::ReduceRule::kBool:
      return "bool";
    case simd::ReduceRule::kCount:
    case simd::ReduceRule::kPlace:
      return "int64";
    case simd::ReduceRule::kMean:
      return "float64 for bool and integers, else the array's dtype";
    case simd::ReduceRule::kReal:
      return "float64 for bool and integers, the real dtype for complex numbers, else the array's";
  }
  return "";
}

Ref ElementwiseDoc(const simd::OpInfo& info, bool is_clip) {
  using simd::TypeRule;
  const char* arguments = info.arity == 1 ? "x" : info.arity == 2 ? "x1, x2" : "x1, x2, x3";
  if (info.rule == TypeRule::kSelect) arguments = "condition, x, y";
  if (is_clip) arguments = "x, lower=None, upper=None";
  simd::KindSet takes = info.kinds;
  if (info.rule == TypeRule::kFloat || info.rule == TypeRule::kDivide ||
      info.rule == TypeRule::kAngle) {
    takes |= simd::kBoolKind | simd::kIntegerKinds;
  }
  if (info.rule == TypeRule::kNumber) takes |= simd::kBoolKind;
  const std::string kinds = array::KindsText(takes);
  return Check(PyUnicode_FromFormat(
      "%s(%s, out=None)\n\nElementwise: %s.\n\n"
      "Operands may be %s.\n"
      "They broadcast to one shape, which the result has. Its dtype is\n"
      "%s.\n"
      "Python numbers take the dtype of the arrays beside them.\n%s"
      "out may be any writable array of that shape to which the result casts (same kind), and may\n"
      "overlap the operands; it is returned. A 0-d result without out is a Python number.\n\n"
      "Raises TypeError for other dtypes and for a result that does not cast to out, ValueError\n"
      "for shapes that do not broadcast, a read-only out and closed arrays,\n%s"
      "OSError for missing pages of a mapped file.",
      info.name, arguments, info.summary, kinds.c_str(), ResultText(info.rule),
      AccuracyText(info.ulps).c_str(),
      info.rule == simd::TypeRule::kCompare
          ? ""
          : "OverflowError for a Python int that does not fit the dtype, "));
}

// What a reduction may be told beside axis, out and keepdims.
std::string MoreArguments(simd::Reduction reduction) {
  std::string text = simd::TakesDdof(reduction) ? ", ddof=0, correction=0" : "";
  if (!simd::IsPlace(reduction)) text += ", where=True";
  if (array::TakesInitial(reduction)) text += ", initial=None";
  if (reduction == simd::Reduction::kSum) text += ", precise=False";
  return text;
}

std::string NotesOn(simd::Reduction reduction) {
  std::string text;
  if (!simd::IsPlace(reduction)) {
    text = "where is a bool array that broadcasts to a: which elements count.\n";
  }
  if (reduction == simd::Reduction::kSum) {
    text += "precise rounds the exact sum of floats once, as math.fsum does.\n";
  }
  return text;
}

Ref ReductionDoc(simd::Reduction reduction) {
  const simd::ReductionInfo& info = simd::InfoOf(reduction);
  return Check(PyUnicode_FromFormat(
      "%s(a, axis=None, *, out=None, keepdims=False%s)\n\nReduces to %s.\n\n"
      "a may hold %s. The result's dtype is\n%s.\n"
      "axis is None for all elements, an int%s; these axes go, or stay as 1 with\n"
      "keepdims. out is a writable array of the result's shape to which the result casts (same\n"
      "kind); it is returned. A 0-d result without out is a Python number.\n%s\n"
      "Raises TypeError for other dtypes and for a result that does not cast to out, ValueError\n"
      "for an axis that is not there or named twice, an out of another shape%s\n"
      "and closed arrays, OSError for missing pages of a mapped file.",
      info.name, MoreArguments(reduction).c_str(), info.summary,
      array::KindsText(info.kinds).c_str(), ResultText(info.rule),
      simd::IsPlace(reduction) ? "" : " or a tuple of ints", NotesOn(reduction).c_str(),
      simd::NeedsElements(reduction) ? ", no elements" : ""));
}

Ref GetDoc(PyObject* self, void*) {
  const OperationObject* operation = AsOperation(self);
  if (operation->is_reduction) return ReductionDoc(operation->reduction());
  return ElementwiseDoc(simd::InfoOf(operation->op()), operation->op() == simd::Op::kClip);
}
Ref GetKind(PyObject* self, void*) {
  return Check(PyUnicode_FromString(AsOperation(self)->is_reduction ? "reduction" : "elementwise"));
}
Ref GetNin(PyObject* self, void*) {
  const OperationObject* operation = AsOperation(self);
  return Check(PyLong_FromLong(operation->is_reduction ? 1 : simd::InfoOf(operation->op()).arity));
}
// The dtypes that have a kernel of their own; float16 and bfloat16 use float32's.
Ref GetTypes(PyObject* self, void*) {
  const OperationObject* operation = AsOperation(self);
  const simd::KindSet kinds = operation->is_reduction ? simd::InfoOf(operation->reduction()).kinds
                                                      : simd::InfoOf(operation->op()).kinds;
  Ref names = Check(PyList_New(0));
  for (int i = 0; i < base::kNumKinds; ++i) {
    const auto kind = static_cast<base::Kind>(i);
    if (!simd::Contains(kinds, kind)) continue;
    const Ref name = Check(PyUnicode_FromString(base::InfoOf(kind).name));
    capi::CheckStatus(PyList_Append(names.get(), name.get()));
  }
  return Check(PyList_AsTuple(names.get()));
}
Ref GetErrorBound(PyObject* self, void*) {
  const OperationObject* operation = AsOperation(self);
  if (operation->is_reduction) return capi::None();
  return Check(PyFloat_FromDouble(simd::InfoOf(operation->op()).ulps));
}
// Operations pickle by name.
Ref Reduce(PyObject* self, PyObject*) { return GetName(self, nullptr); }

// An instance holds its type, which holds the module, whose dict holds the instances.
int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return 0;
}

void Dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(OperationObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyGetSetDef getset[] = {
    {"__name__", reinterpret_cast<getter>(capi::Slot<&GetName>()), nullptr, nullptr, nullptr},
    {"__qualname__", reinterpret_cast<getter>(capi::Slot<&GetName>()), nullptr, nullptr, nullptr},
    {"__doc__", reinterpret_cast<getter>(capi::Slot<&GetDoc>()), nullptr, nullptr, nullptr},
    {"kind", reinterpret_cast<getter>(capi::Slot<&GetKind>()), nullptr,
     "'elementwise' or 'reduction'.", nullptr},
    {"nin", reinterpret_cast<getter>(capi::Slot<&GetNin>()), nullptr,
     "The number of operands (arrays).", nullptr},
    {"types", reinterpret_cast<getter>(capi::Slot<&GetTypes>()), nullptr,
     "The dtypes with a kernel of their own; float16 and bfloat16 use the one of float32.",
     nullptr},
    {"error_bound", reinterpret_cast<getter>(capi::Slot<&GetErrorBound>()), nullptr,
     "The largest error in units in the last place, 0 for results that are exact or rounded\n"
     "correctly; None for reductions.",
     nullptr},
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

void AddOperation(PyObject* module, ModuleState* state, bool is_reduction, int index) {
  Ref object = Check(state->operation_type->tp_alloc(state->operation_type, 0));
  OperationObject* self = AsOperation(object.get());
  self->vectorcall = capi::Entry<&Call>;
  self->state = state;
  self->is_reduction = is_reduction;
  self->index = static_cast<uint8_t>(index);
  capi::CheckStatus(PyModule_AddObjectRef(module, NameOf(self), object.get()));
}

}  // namespace

PyType_Spec operation_spec = {"spanflow.Operation", sizeof(OperationObject), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                                  Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                              slots};

std::vector<simd::Reduction> ReductionsFrom(ModuleState* state, PyObject* operations) {
  const Ref items = capi::Items(operations);
  std::vector<simd::Reduction> reductions;
  for (Py_ssize_t i = 0; i < capi::Count(items); ++i) {
    PyObject* const item = capi::At(items, i);
    if (Py_TYPE(item) != state->operation_type || !AsOperation(item)->is_reduction) {
      capi::Raise(PyExc_TypeError, "expected reductions such as spanflow.mean, got %R", item);
    }
    reductions.push_back(AsOperation(item)->reduction());
  }
  return reductions;
}

void AddOperations(PyObject* module, ModuleState* state) {
  for (int i = 0; i < simd::kNumOps; ++i) AddOperation(module, state, false, i);
  for (int i = 0; i < simd::kNumReductions; ++i) AddOperation(module, state, true, i);
}

}  // namespace spanflow::bindings
