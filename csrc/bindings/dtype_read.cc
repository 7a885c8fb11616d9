// What a user may write for a dtype, read: names, records in three forms, NumPy's dtypes and types.
#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "base/arith.h"
#include "bindings/dtype_object.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using base::DType;
using base::Field;
using base::Kind;
using capi::At;
using capi::AttributeOrNull;
using capi::Check;
using capi::Count;
using capi::Integer;
using capi::Raise;
using capi::Ref;
using capi::Text;

DType ReadDType(ModuleState* state, PyObject* object, int depth);

std::vector<int64_t> SubShape(PyObject* object) {
  if (PyIndex_Check(object)) return {Integer(object)};
  const Ref items = capi::Items(object);
  std::vector<int64_t> shape;
  for (Py_ssize_t i = 0; i < Count(items); ++i) shape.push_back(Integer(At(items, i)));
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

// The fields of a record that is being read, one after the other.
class RecordBuilder {
 public:
  // Behind all fields so far.
  int64_t end() const { return end_; }

  void Skip(int64_t offset, int64_t nbytes) {
    int64_t end;
    if (!base::CheckedAdd(offset, nbytes, &end)) {
      Raise(PyExc_ValueError, "the record dtype is too large");
    }
    end_ = std::max(end_, end);
  }
  void Add(Field field) {
    Skip(field.offset, capi::Take(field.CheckedNbytes()));
    fields_.push_back(std::move(field));
  }
  DType Make(int64_t itemsize) {
    return capi::Take(DType::MakeRecord(std::move(fields_), itemsize));
  }

 private:
  std::vector<Field> fields_;
  int64_t end_ = 0;
};

// [("x", "f4"), ("y", "f8", (3,))]: packed, one field behind the other, as in NumPy.
DType RecordFromList(ModuleState* state, PyObject* list, int depth) {
  const Ref entries = capi::Items(list);
  RecordBuilder record;
  for (Py_ssize_t i = 0; i < Count(entries); ++i) {
    PyObject* entry = At(entries, i);
    if (!PyTuple_Check(entry) || PyTuple_GET_SIZE(entry) < 2 || PyTuple_GET_SIZE(entry) > 3) {
      Raise(PyExc_TypeError,
            "a record dtype is a list of (name, dtype) or (name, dtype, shape); "
            "entry %zd is %R",
            i, entry);
    }
    PyObject* name = PyTuple_GET_ITEM(entry, 0);
    PyObject* spec = PyTuple_GET_ITEM(entry, 1);
    if (PyTuple_Check(name) && PyTuple_GET_SIZE(name) == 2) name = PyTuple_GET_ITEM(name, 1);
    const int64_t padding = PaddingOf(name, spec);
    Field field{Text(name), DType::Bytes(std::max<int64_t>(padding, 0)), record.end(), {}};
    if (padding < 0) field.dtype = ReadDType(state, spec, depth + 1);
    if (field.name.empty()) field.name = "f" + std::to_string(i);
    if (PyTuple_GET_SIZE(entry) == 3) field.shape = SubShape(PyTuple_GET_ITEM(entry, 2));
    if (padding < 0)
      record.Add(std::move(field));
    else
      record.Skip(record.end(), capi::Take(field.CheckedNbytes()));
  }
  return record.Make(record.end());
}

// The parts of a record given as a dict, each read once.
struct RecordParts {
  Ref names, formats, offsets, itemsize;  // the last two may be empty
};

RecordParts PartsOfDict(PyObject* dict) {
  const auto items = [dict](const char* key) {
    const Ref value = capi::EntryOrNull(dict, key);
    return value ? capi::Items(value.get()) : Ref();
  };
  RecordParts parts{items("names"), items("formats"), items("offsets"),
                    capi::EntryOrNull(dict, "itemsize")};
  if (!parts.names || !parts.formats) {
    Raise(PyExc_TypeError, "a record dtype given as a dict needs 'names' and 'formats'; got %R",
          dict);
  }
  const Py_ssize_t count = Count(parts.names);
  if (Count(parts.formats) != count || (parts.offsets && Count(parts.offsets) != count)) {
    Raise(PyExc_ValueError,
          "'names', 'formats' and 'offsets' of a record dtype must be equally long");
  }
  const Ref aligned = capi::EntryOrNull(dict, "aligned");
  if (aligned && capi::Truth(aligned.get()) && (!parts.offsets || !parts.itemsize)) {
    Raise(PyExc_ValueError,
          "'aligned' is not computed here: give 'offsets' and 'itemsize', or "
          "numpy.dtype(..., align=True)");
  }
  return parts;
}

// The dictionary form gives offsets freely.
DType RecordFromDict(ModuleState* state, PyObject* dict, int depth) {
  const RecordParts parts = PartsOfDict(dict);
  RecordBuilder record;
  for (Py_ssize_t i = 0; i < Count(parts.names); ++i) {
    Field field;
    field.name = Text(At(parts.names, i));
    PyObject* format = At(parts.formats, i);
    if (PyTuple_Check(format) && PyTuple_GET_SIZE(format) == 2) {  // (dtype, shape)
      field.shape = SubShape(PyTuple_GET_ITEM(format, 1));
      format = PyTuple_GET_ITEM(format, 0);
    }
    field.dtype = ReadDType(state, format, depth + 1);
    field.offset = parts.offsets ? Integer(At(parts.offsets, i)) : record.end();
    record.Add(std::move(field));
  }
  return record.Make(parts.itemsize ? Integer(parts.itemsize.get()) : record.end());
}

// .fields of numpy.dtype: name -> (dtype, offset[, title]); .names says in which order.
DType RecordFromFields(ModuleState* state, PyObject* object, PyObject* fields, int depth) {
  const Ref names = capi::Items(Check(PyObject_GetAttrString(object, "names")).get());
  RecordBuilder record;
  for (Py_ssize_t i = 0; i < Count(names); ++i) {
    const Ref entry = capi::Items(Check(PyObject_GetItem(fields, At(names, i))).get());
    if (Count(entry) < 2) {
      Raise(PyExc_TypeError, "%R: fields[%R] must be (dtype, offset), got %R", object, At(names, i),
            entry.get());
    }
    const Ref base = AttributeOrNull(At(entry, 0), "base");  // of a sub-array
    const Ref shape = AttributeOrNull(At(entry, 0), "shape");
    record.Add({Text(At(names, i)), ReadDType(state, base ? base.get() : At(entry, 0), depth + 1),
                Integer(At(entry, 1)), shape ? SubShape(shape.get()) : std::vector<int64_t>()});
  }
  return record.Make(Integer(Check(PyObject_GetAttrString(object, "itemsize")).get()));
}

// numpy.dtype and what behaves like it: .fields for records, .str for everything else.
DType FromNumpyDType(ModuleState* state, PyObject* object, PyObject* str, int depth) {
  const Ref fields = AttributeOrNull(object, "fields");
  if (capi::Given(fields.get())) return RecordFromFields(state, object, fields.get(), depth);
  const Ref name = AttributeOrNull(object, "name");
  if (name && PyUnicode_Check(name.get()) && Text(name.get()) == "bfloat16") {
    return DType(Kind::kBF16);
  }
  auto parsed = base::ParseDTypeName(Text(str));
  if (!parsed.ok()) Raise(PyExc_TypeError, "%R: %s", object, parsed.status().message().c_str());
  return *parsed;
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
  if (Py_TYPE(object) == state->dtype_type) {
    return reinterpret_cast<DTypeObject*>(object)->dtype;
  }
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

}  // namespace

DType DTypeFromObject(ModuleState* state, PyObject* object) { return ReadDType(state, object, 0); }

}  // namespace spanflow::bindings
