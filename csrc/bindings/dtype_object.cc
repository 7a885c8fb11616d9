#include "bindings/dtype_object.h"

#include <charconv>
#include <new>
#include <string>
#include <vector>

#include "base/arith.h"
#include "capi/args.h"
#include "capi/entry.h"

namespace spanflow::bindings {
namespace {

using base::DType;
using base::Field;
using base::Kind;
using capi::Check;
using capi::Raise;
using capi::Ref;

const DType& ValueOf(PyObject* self) { return reinterpret_cast<DTypeObject*>(self)->dtype; }

Ref NewDType(PyTypeObject* type, const DType& dtype) {
  Ref self = Check(type->tp_alloc(type, 0));
  new (&reinterpret_cast<DTypeObject*>(self.get())->dtype) DType(dtype);
  return self;
}

std::string Text(PyObject* object) {
  Py_ssize_t size;
  const char* text = PyUnicode_AsUTF8AndSize(object, &size);
  if (text == nullptr) throw capi::PythonError{};
  return {text, static_cast<size_t>(size)};
}

int64_t Integer(PyObject* object) {
  const Py_ssize_t value = PyNumber_AsSsize_t(object, PyExc_OverflowError);
  if (value == -1 && PyErr_Occurred() != nullptr) throw capi::PythonError{};
  return value;
}

DType ReadDType(ModuleState* state, PyObject* object, int depth);

// An attribute, or an empty Ref where the object has none.
Ref AttributeOrNull(PyObject* object, const char* name) {
  PyObject* value = PyObject_GetAttrString(object, name);
  if (value == nullptr) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw capi::PythonError{};
    PyErr_Clear();
  }
  return Ref::Steal(value);
}

std::vector<int64_t> SubShape(PyObject* object) {
  if (PyIndex_Check(object)) return {Integer(object)};
  const Ref items = Check(PySequence_Tuple(object));
  std::vector<int64_t> shape;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
    shape.push_back(Integer(PyTuple_GET_ITEM(items.get(), i)));
  }
  return shape;
}

// ("", "|V4"): how numpy.dtype.descr writes 4 bytes that belong to no field. -1 for anything else.
int64_t PaddingOf(PyObject* name, PyObject* spec) {
  if (!PyUnicode_Check(name) || PyUnicode_GET_LENGTH(name) != 0 || !PyUnicode_Check(spec))
    return -1;
  const std::string code = Text(spec);
  int64_t width = -1;
  if (!code.starts_with("|V")) return -1;
  const char* end = code.data() + code.size();
  const auto [stopped, error] = std::from_chars(code.data() + 2, end, width);
  return error == std::errc() && stopped == end ? width : -1;
}

// [("x", "f4"), ("y", "f8", (3,))]: packed, one field behind the other, as in NumPy.
DType RecordFromList(ModuleState* state, PyObject* list, int depth) {
  std::vector<Field> fields;
  int64_t offset = 0;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
    const Ref entry = Ref::Borrow(PyList_GET_ITEM(list, i));
    if (!PyTuple_Check(entry.get()) || PyTuple_GET_SIZE(entry.get()) < 2 ||
        PyTuple_GET_SIZE(entry.get()) > 3) {
      Raise(PyExc_TypeError,
            "a record dtype is a list of (name, dtype) or (name, dtype, shape); "
            "entry %zd is %R",
            i, entry.get());
    }
    PyObject* name = PyTuple_GET_ITEM(entry.get(), 0);
    PyObject* spec = PyTuple_GET_ITEM(entry.get(), 1);
    if (PyTuple_Check(name) && PyTuple_GET_SIZE(name) == 2) name = PyTuple_GET_ITEM(name, 1);
    const int64_t padding = PaddingOf(name, spec);
    Field field{Text(name), DType::Bytes(std::max<int64_t>(padding, 0)), offset, {}};
    if (padding < 0) field.dtype = ReadDType(state, spec, depth + 1);
    if (field.name.empty()) field.name = "f" + std::to_string(i);
    if (PyTuple_GET_SIZE(entry.get()) == 3)
      field.shape = SubShape(PyTuple_GET_ITEM(entry.get(), 2));
    const int64_t nbytes = capi::Take(field.CheckedNbytes());
    if (padding < 0) fields.push_back(std::move(field));
    if (!base::CheckedAdd(offset, nbytes, &offset)) {
      Raise(PyExc_ValueError, "the record dtype is too large");
    }
  }
  return capi::Take(DType::MakeRecord(std::move(fields), offset));
}

// The dictionary form and numpy.dtype objects give names, dtypes and offsets freely.
DType RecordFromDict(ModuleState* state, PyObject* dict, int depth) {
  const auto part = [dict](const char* key) { return PyDict_GetItemString(dict, key); };
  if (part("names") == nullptr || part("formats") == nullptr) {
    Raise(PyExc_TypeError, "a record dtype given as a dict needs 'names' and 'formats'; got %R",
          dict);
  }
  const Ref names = Check(PySequence_Tuple(part("names")));
  const Ref formats = Check(PySequence_Tuple(part("formats")));
  const Ref offsets = part("offsets") ? Check(PySequence_Tuple(part("offsets"))) : Ref();
  const Py_ssize_t count = PyTuple_GET_SIZE(names.get());
  if (PyTuple_GET_SIZE(formats.get()) != count ||
      (offsets && PyTuple_GET_SIZE(offsets.get()) != count)) {
    Raise(PyExc_ValueError,
          "'names', 'formats' and 'offsets' of a record dtype must be equally long");
  }
  std::vector<Field> fields;
  int64_t end = 0;
  for (Py_ssize_t i = 0; i < count; ++i) {
    Field field;
    field.name = Text(PyTuple_GET_ITEM(names.get(), i));
    PyObject* format = PyTuple_GET_ITEM(formats.get(), i);
    if (PyTuple_Check(format) && PyTuple_GET_SIZE(format) == 2) {  // (dtype, shape)
      field.shape = SubShape(PyTuple_GET_ITEM(format, 1));
      format = PyTuple_GET_ITEM(format, 0);
    }
    field.dtype = ReadDType(state, format, depth + 1);
    field.offset = offsets ? Integer(PyTuple_GET_ITEM(offsets.get(), i)) : end;
    int64_t field_end;
    if (!base::CheckedAdd(field.offset, capi::Take(field.CheckedNbytes()), &field_end)) {
      Raise(PyExc_ValueError, "the record dtype is too large");
    }
    end = std::max(end, field_end);
    fields.push_back(std::move(field));
  }
  const int64_t itemsize = part("itemsize") ? Integer(part("itemsize")) : end;
  return capi::Take(DType::MakeRecord(std::move(fields), itemsize));
}

// numpy.dtype and what behaves like it: .fields for records, .str for everything else.
DType FromNumpyDType(ModuleState* state, PyObject* object, PyObject* str, int depth) {
  const Ref fields = AttributeOrNull(object, "fields");
  if (!fields || fields.get() == Py_None) {
    const Ref name = AttributeOrNull(object, "name");
    if (name && PyUnicode_Check(name.get()) && Text(name.get()) == "bfloat16") {
      return DType(Kind::kBF16);
    }
    auto parsed = base::ParseDTypeName(Text(str));
    if (!parsed.ok()) {
      Raise(PyExc_TypeError, "%R: %s", object, parsed.status().message().c_str());
    }
    return *parsed;
  }
  std::vector<Field> parts;
  const Ref names = Check(PyObject_GetAttrString(object, "names"));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names.get()); ++i) {
    PyObject* name = PyTuple_GET_ITEM(names.get(), i);
    const Ref entry = Check(PyObject_GetItem(fields.get(), name));  // (dtype, offset[, title])
    const Ref dtype = Check(PySequence_GetItem(entry.get(), 0));
    const Ref offset = Check(PySequence_GetItem(entry.get(), 1));
    Field field{Text(name), DType(), Integer(offset.get()), {}};
    const Ref base = Check(PyObject_GetAttrString(dtype.get(), "base"));
    const Ref shape = Check(PyObject_GetAttrString(dtype.get(), "shape"));
    field.dtype = ReadDType(state, base.get(), depth + 1);
    field.shape = SubShape(shape.get());
    parts.push_back(std::move(field));
  }
  const Ref itemsize = Check(PyObject_GetAttrString(object, "itemsize"));
  return capi::Take(DType::MakeRecord(std::move(parts), Integer(itemsize.get())));
}

// bool, int, float, complex and NumPy's scalar types (numpy.float32).
DType FromType(PyTypeObject* type) {
  if (type == &PyBool_Type) return DType(Kind::kBool);
  if (type == &PyLong_Type) return DType(Kind::kI64);
  if (type == &PyFloat_Type) return DType(Kind::kF64);
  if (type == &PyComplex_Type) return DType(Kind::kC128);
  std::string name = type->tp_name;
  if (const size_t dot = name.rfind('.'); dot != std::string::npos) name = name.substr(dot + 1);
  static constexpr struct {
    const char* c_name;
    Kind kind;
  } kNumpyNames[] = {{"longlong", Kind::kI64}, {"ulonglong", Kind::kU64}, {"intc", Kind::kI32},
                     {"uintc", Kind::kU32},    {"short", Kind::kI16},     {"ushort", Kind::kU16},
                     {"byte", Kind::kI8},      {"ubyte", Kind::kU8},      {"long", Kind::kI64},
                     {"ulong", Kind::kU64}};
  for (const auto& known : kNumpyNames) {
    if (name == known.c_name) return DType(known.kind);
  }
  return capi::Take(base::ParseDTypeName(name));
}

// `depth` is how many records are around.
DType ReadDType(ModuleState* state, PyObject* object, int depth) {
  if (Py_TYPE(object) == state->dtype_type) return ValueOf(object);
  if (PyUnicode_Check(object)) return capi::Take(base::ParseDTypeName(Text(object)));
  if (PyType_Check(object)) return FromType(reinterpret_cast<PyTypeObject*>(object));
  if (depth == base::kMaxRecordDepth) {  // also what keeps this recursion short
    Raise(PyExc_ValueError, "a record dtype nests at most %d deep", base::kMaxRecordDepth);
  }
  if (PyList_Check(object)) return RecordFromList(state, object, depth);
  if (PyDict_Check(object)) return RecordFromDict(state, object, depth);
  if (const Ref str = AttributeOrNull(object, "str"); str && PyUnicode_Check(str.get())) {
    return FromNumpyDType(state, object, str.get(), depth);
  }
  Raise(PyExc_TypeError,
        "%R is not a dtype: give a name such as 'float32', a spanflow or NumPy "
        "dtype, or a list of (name, dtype) fields",
        object);
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
      PyErr_Clear();
      return capi::NotImplemented();
    }
  }
  return capi::Bool(equal == (op == Py_EQ));
}

Py_hash_t Hash(PyObject* self) {
  const Ref text = Str(self);
  return PyObject_Hash(text.get());
}

void Dealloc(PyObject* self) {
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

Ref Reduce(PyObject* self, PyObject*) {
  ModuleState* state = StateOf(Py_TYPE(self));
  const DType& dtype = ValueOf(self);
  Ref spec;
  if (dtype.kind() != Kind::kRecord) {
    spec = Check(PyUnicode_FromString(
        (dtype.kind() == Kind::kBF16 ? dtype.Name() : dtype.ArrayCode()).c_str()));
  } else {
    Ref names = GetNames(self, nullptr);
    Ref formats = Check(PyList_New(0)), offsets = Check(PyList_New(0));
    for (const Field& field : dtype.fields()) {
      Ref format = WrapDType(state, field.dtype);
      if (!field.shape.empty()) {
        const Ref shape = ShapeTuple(field.shape);
        format = Check(Py_BuildValue("(OO)", format.get(), shape.get()));
      }
      capi::CheckStatus(PyList_Append(formats.get(), format.get()));
      capi::CheckStatus(
          PyList_Append(offsets.get(), Check(PyLong_FromLongLong(field.offset)).get()));
    }
    spec = Check(Py_BuildValue("{sNsNsNsL}", "names", names.release(), "formats", formats.release(),
                               "offsets", offsets.release(), "itemsize",
                               static_cast<long long>(dtype.itemsize())));
  }
  return Check(Py_BuildValue("(O(N))", Py_TYPE(self), spec.release()));
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
    {Py_tp_repr, capi::Slot<&Repr>()},
    {Py_tp_str, capi::Slot<&Str>()},
    {Py_tp_richcompare, capi::Slot<&Compare>()},
    {Py_tp_hash, capi::Slot<&Hash>()},
    {Py_tp_getset, getset},
    {Py_tp_methods, methods},
    {0, nullptr}};

}  // namespace

PyType_Spec dtype_spec = {"spanflow.dtype", sizeof(DTypeObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};

Ref WrapDType(ModuleState* state, const DType& dtype) {
  if (dtype.numeric() && !dtype.swapped()) {
    PyObject* known = state->dtypes[static_cast<size_t>(dtype.kind())];
    if (std::string_view(dtype.format()) == ValueOf(known).format()) return Ref::Borrow(known);
  }
  return NewDType(state->dtype_type, dtype);
}

DType DTypeFromObject(ModuleState* state, PyObject* object) { return ReadDType(state, object, 0); }

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
