#include "bindings/dtype_object.h"

#include <new>
#include <string>
#include <vector>

#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using base::DType;
using base::Field;
using base::Kind;
using capi::Check;
using capi::Ref;

const DType& ValueOf(PyObject* self) { return reinterpret_cast<DTypeObject*>(self)->dtype; }

Ref NewDType(PyTypeObject* type, const DType& dtype) {
  Ref self = Check(type->tp_alloc(type, 0));
  new (&reinterpret_cast<DTypeObject*>(self.get())->dtype) DType(dtype);
  return self;
}

Ref Repr(PyObject* self) {
  const std::string text = ValueOf(self).ToString();
  const bool quoted = ValueOf(self).kind() != Kind::kRecord;
  return Check(
      PyUnicode_FromFormat(quoted ? "spanflow.dtype('%s')" : "spanflow.dtype(%s)", text.c_str()));
}

Ref Str(PyObject* self) { return Check(PyUnicode_FromString(ValueOf(self).ToString().c_str())); }

// NumPy compares a dtype with anything that it can read as one; so do we. What cannot be read is
// simply not equal.
Ref Compare(PyObject* self, PyObject* other, int op) {
  if (op != Py_EQ && op != Py_NE) return capi::NotImplemented();
  ModuleState* state = StateOf(Py_TYPE(self));
  bool equal = false;
  if (other != Py_None) {
    try {
      equal = ValueOf(self) == DTypeFromObject(state, other);
    } catch (const capi::PythonError&) {
      capi::ForgetRefusal();
      return capi::NotImplemented();
    }
  }
  return capi::Bool(equal == (op == Py_EQ));
}

Py_hash_t Hash(PyObject* self) {
  const Ref text = Str(self);
  return PyObject_Hash(text.get());
}

// An instance holds its type, which holds the module, whose state holds instances.
int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return 0;
}

void Dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  PyTypeObject* type = Py_TYPE(self);
  reinterpret_cast<DTypeObject*>(self)->dtype.~DType();
  type->tp_free(self);
  Py_DECREF(type);
}

Ref New(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static constexpr capi::Signature<1> kSignature("dtype", {"dtype"}, 1, 1);
  const auto [spec] = kSignature.ParseTuple(args, kwargs);
  ModuleState* state = StateOf(type);
  return WrapDType(state, DTypeFromObject(state, spec));
}

Ref GetName(PyObject* self, void*) {
  return Check(PyUnicode_FromString(ValueOf(self).Name().c_str()));
}
Ref GetStr(PyObject* self, void*) {
  return Check(PyUnicode_FromString(ValueOf(self).ArrayCode().c_str()));
}
Ref GetItemsize(PyObject* self, void*) {
  return Check(PyLong_FromLongLong(ValueOf(self).itemsize()));
}
Ref GetFormat(PyObject* self, void*) { return Check(PyUnicode_FromString(ValueOf(self).format())); }
Ref GetKind(PyObject* self, void*) {
  const Kind kind = ValueOf(self).kind();
  const char letter = kind == Kind::kBool      ? 'b'
                      : base::IsSigned(kind)   ? 'i'
                      : base::IsUnsigned(kind) ? 'u'
                      : base::IsFloat(kind)    ? 'f'
                      : base::IsComplex(kind)  ? 'c'
                      : kind == Kind::kBytes   ? 'S'
                                               : 'V';
  return Check(PyUnicode_FromStringAndSize(&letter, 1));
}
Ref GetByteOrder(PyObject* self, void*) {
  const DType& dtype = ValueOf(self);
  const bool any = !dtype.numeric() || base::InfoOf(dtype.kind()).swap_unit == 1;
  return Check(PyUnicode_FromString(any ? "|" : dtype.swapped() ? ">" : "="));
}
Ref GetIsNative(PyObject* self, void*) { return capi::Bool(!ValueOf(self).has_swapped_parts()); }

Ref GetNames(PyObject* self, void*) {
  const DType& dtype = ValueOf(self);
  if (dtype.kind() != Kind::kRecord) return capi::None();
  Ref names = Check(PyTuple_New(static_cast<Py_ssize_t>(dtype.fields().size())));
  Py_ssize_t i = 0;
  for (const Field& field : dtype.fields()) {
    PyTuple_SET_ITEM(names.get(), i++, Check(PyUnicode_FromString(field.name.c_str())).release());
  }
  return names;
}

Ref ShapeTuple(const std::vector<int64_t>& shape) {
  Ref tuple = Check(PyTuple_New(static_cast<Py_ssize_t>(shape.size())));
  for (size_t i = 0; i < shape.size(); ++i) {
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i),
                     Check(PyLong_FromLongLong(shape[i])).release());
  }
  return tuple;
}

// name -> (dtype, offset, shape)
Ref GetFields(PyObject* self, void*) {
  const DType& dtype = ValueOf(self);
  if (dtype.kind() != Kind::kRecord) return capi::None();
  ModuleState* state = StateOf(Py_TYPE(self));
  Ref fields = Check(PyDict_New());
  for (const Field& field : dtype.fields()) {
    const Ref entry = Check(Py_BuildValue("(NLN)", WrapDType(state, field.dtype).release(),
                                          static_cast<long long>(field.offset),
                                          ShapeTuple(field.shape).release()));
    capi::CheckStatus(PyDict_SetItemString(fields.get(), field.name.c_str(), entry.get()));
  }
  return fields;
}

Ref NewByteOrder(PyObject* self, PyObject*) {
  return WrapDType(StateOf(Py_TYPE(self)), ValueOf(self).Swapped());
}

Ref RecordSpec(ModuleState* state, const DType& dtype, Ref names) {
  Ref formats = Check(PyList_New(0)), offsets = Check(PyList_New(0));
  for (const Field& field : dtype.fields()) {
    Ref format = WrapDType(state, field.dtype);
    if (!field.shape.empty()) {
      const Ref shape = ShapeTuple(field.shape);
      format = Check(Py_BuildValue("(OO)", format.get(), shape.get()));
    }
    capi::CheckStatus(PyList_Append(formats.get(), format.get()));
    capi::CheckStatus(PyList_Append(offsets.get(), Check(PyLong_FromLongLong(field.offset)).get()));
  }
  return Check(Py_BuildValue("{sNsNsNsL}", "names", names.release(), "formats", formats.release(),
                             "offsets", offsets.release(), "itemsize",
                             static_cast<long long>(dtype.itemsize())));
}

// What makes the dtype again, here and in NumPy: a code, or the dict of a record.
Ref Spec(PyObject* self) {
  const DType& dtype = ValueOf(self);
  if (dtype.kind() == Kind::kRecord) {
    return RecordSpec(StateOf(Py_TYPE(self)), dtype, GetNames(self, nullptr));
  }
  const bool named = dtype.kind() == Kind::kBF16 && !dtype.swapped();
  return Check(PyUnicode_FromString((named ? dtype.Name() : dtype.ArrayCode()).c_str()));
}

Ref Reduce(PyObject* self, PyObject*) {
  return Check(Py_BuildValue("(O(N))", Py_TYPE(self), Spec(self).release()));
}

// NumPy asks objects that stand for a dtype for this attribute. It is never imported here: whoever
// asks has it.
Ref GetNumPyDType(PyObject* self, void*) {
  const Ref name = Check(PyUnicode_FromString("numpy"));
  const Ref numpy = Ref::Steal(PyImport_GetModule(name.get()));
  if (!numpy) {
    if (PyErr_Occurred() != nullptr) throw capi::PythonError{};
    capi::Raise(PyExc_AttributeError, "dtype.dtype is NumPy's, which was not imported");
  }
  return Check(PyObject_CallMethod(numpy.get(), "dtype", "N", Spec(self).release()));
}

#define GETTER(function) reinterpret_cast<getter>(capi::Slot<&function>())

PyGetSetDef getset[] = {
    {"name", GETTER(GetName), nullptr, "The name, such as 'float32'.", nullptr},
    {"str", GETTER(GetStr), nullptr, "The array interface code, such as '<f4'.", nullptr},
    {"itemsize", GETTER(GetItemsize), nullptr, "Bytes of one element.", nullptr},
    {"format", GETTER(GetFormat), nullptr, "The PEP 3118 format that arrays export.", nullptr},
    {"kind", GETTER(GetKind), nullptr, "One of 'b', 'i', 'u', 'f', 'c', 'S', 'V'.", nullptr},
    {"byteorder", GETTER(GetByteOrder), nullptr, "'=' native, '>' big-endian, '|' neither.",
     nullptr},
    {"isnative", GETTER(GetIsNative), nullptr, "Whether every part has native byte order.",
     nullptr},
    {"dtype", GETTER(GetNumPyDType), nullptr,
     "The same as a numpy.dtype, once NumPy was imported; what lets numpy.zeros(2, sf.float32) "
     "work.",
     nullptr},
    {"names", GETTER(GetNames), nullptr, "The field names of a record, else None.", nullptr},
    {"fields", GETTER(GetFields), nullptr, "name -> (dtype, offset, shape) of a record, else None.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMethodDef methods[] = {{"newbyteorder", capi::Method<&NewByteOrder>(), METH_NOARGS,
                          "newbyteorder($self, /)\n--\n\nThe same dtype in the other byte order."},
                         {"__reduce__", capi::Method<&Reduce>(), METH_NOARGS, nullptr},
                         {nullptr, nullptr, 0, nullptr}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("dtype(dtype)\n--\n\nWhat one element of an array is: a number, "
                                  "fixed-width bytes, or a record of these.\n\nEquality accepts "
                                  "whatever can be read as a dtype: sf.float32 == 'f4' == "
                                  "numpy.dtype('float32').")},
    {Py_tp_new, capi::Slot<&New>()},
    {Py_tp_dealloc, capi::Slot<&Dealloc>()},
    {Py_tp_traverse, reinterpret_cast<void*>(&Traverse)},
    {Py_tp_repr, capi::Slot<&Repr>()},
    {Py_tp_str, capi::Slot<&Str>()},
    {Py_tp_richcompare, capi::Slot<&Compare>()},
    {Py_tp_hash, capi::Slot<&Hash>()},
    {Py_tp_getset, getset},
    {Py_tp_methods, methods},
    {0, nullptr}};

}  // namespace

PyType_Spec dtype_spec = {"spanflow.dtype", sizeof(DTypeObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
                          slots};

Ref WrapDType(ModuleState* state, const DType& dtype) {
  if (dtype.numeric() && !dtype.swapped()) {
    PyObject* known = state->dtypes[static_cast<size_t>(dtype.kind())];
    if (std::string_view(dtype.format()) == ValueOf(known).format()) return Ref::Borrow(known);
  }
  return NewDType(state->dtype_type, dtype);
}

void AddDTypes(PyObject* module, ModuleState* state) {
  for (int k = 0; k < base::kNumKinds; ++k) {
    const auto kind = static_cast<Kind>(k);
    Ref dtype = NewDType(state->dtype_type, DType(kind));
    const std::string name = base::InfoOf(kind).name;
    const std::string attribute = name == "bool" ? "bool_" : name;
    capi::CheckStatus(PyModule_AddObjectRef(module, attribute.c_str(), dtype.get()));
    state->dtypes[static_cast<size_t>(k)] = dtype.release();
  }
}

}  // namespace spanflow::bindings
