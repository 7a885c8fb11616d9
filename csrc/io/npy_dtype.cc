#include "io/npy_dtype.h"

#include <charconv>
#include <optional>
#include <vector>

#include "base/arith.h"
#include "base/layout.h"

namespace spanflow::io {
namespace {

using base::DType;
using base::Field;
using base::Result;
using base::Status;
using Type = Literal::Type;

// Looking a name up is a walk over all fields; more than this is a file made to waste time.
constexpr size_t kMostFields = 4096;

std::string_view WithoutOrder(std::string_view code) {
  const bool ordered = !code.empty() && std::string_view("<>=|").find(code[0]) != code.npos;
  return code.substr(ordered ? 1 : 0);
}

Status TooManyFields(size_t count) {
  return Status::Value("a record of " + std::to_string(count) + " fields; at most " +
                       std::to_string(kMostFields) +
                       " are read from and written to files: use several files, or sub-array "
                       "fields ('x', 'f4', (100,))");
}

// The width of "|V12", which is padding when it has no name.
std::optional<int64_t> VoidWidth(const Literal& descr) {
  const std::string_view code = WithoutOrder(descr.text);
  if (!descr.Is(Type::kString) || code.size() < 2 || code[0] != 'V') return std::nullopt;
  int64_t width = 0;
  const auto [end, error] = std::from_chars(code.data() + 1, code.data() + code.size(), width);
  if (error != std::errc() || end != code.data() + code.size() || width < 0) return std::nullopt;
  return width;
}

// What NumPy can write and we do not read, in words.
const char* WhyNot(std::string_view code) {
  const bool sized = code.size() > 1;
  switch (code.empty() ? '\0' : code[0]) {
    case 'O':
      return "its elements are pickled Python objects, which are never loaded";
    case 'U':
      return "Unicode text; save it as bytes (astype('S'))";
    case 'M':
      return "dates; save it as int64 (view('i8'))";
    case 'm':
      return "time spans; save it as int64 (view('i8'))";
    case 'V':
      return "bytes without a meaning; open the file as a raw one and say the dtype and offset";
    case 'g':
    case 'G':
      return "long double; save it as float64 or complex128";
    case 'f':
      return code == "f12" || code == "f16" ? "long double; save it as float64" : nullptr;
    case 'c':
      return code == "c24" || code == "c32" ? "long double; save it as complex128" : nullptr;
    case 'T':
      return sized ? nullptr : "text of any length; save it as bytes (astype('S'))";
    default:
      return nullptr;
  }
}

Result<DType> FromCode(const std::string& code) {
  if (const char* why = WhyNot(WithoutOrder(code))) {
    return Status::Type("dtype '" + code + "' is not supported: " + why);
  }
  return base::ParseDTypeName(code);
}

// 'x', or ('title', 'x').
const std::string* FieldName(const Literal& name) {
  const bool titled =
      name.Is(Type::kTuple) && name.items.size() == 2 && name.items[0].Is(Type::kString);
  const Literal& own = titled ? name.items[1] : name;
  return own.Is(Type::kString) ? &own.text : nullptr;
}

Result<std::vector<int64_t>> FieldShape(const Literal& shape) {
  const std::vector<Literal> one = {shape};
  const std::vector<Literal>& extents = shape.Is(Type::kTuple) ? shape.items : one;
  std::vector<int64_t> result;
  for (const Literal& extent : extents) {
    if (!extent.Is(Type::kInteger) || extent.number < 0) {
      return Status::Value("the shape of a field must be non-negative integers");
    }
    result.push_back(extent.number);
  }
  if (result.size() > base::kMaxDims) return Status::Value("a field of more than 64 dimensions");
  return result;
}

Result<Field> FieldFromDescr(const Literal& item, const std::string& name, int64_t offset) {
  Field field;
  field.name = name;
  field.offset = offset;
  SPANFLOW_ASSIGN(field.dtype, DTypeFromDescr(item.items[1]));
  if (item.items.size() == 3) {
    SPANFLOW_ASSIGN(field.shape, FieldShape(item.items[2]));
    SPANFLOW_TRY(field.CheckedNbytes().TakeStatus());
  }
  return field;
}

// Of ('', '|V4') or ('', '|V4', (2,)).
Result<int64_t> PaddingBytes(const Literal& item, int64_t width) {
  Field padding{"", DType::Bytes(width), 0, {}};
  if (item.items.size() == 3) {
    SPANFLOW_ASSIGN(padding.shape, FieldShape(item.items[2]));
  }
  return padding.CheckedNbytes();
}

Result<DType> RecordFromDescr(const Literal& descr) {
  std::vector<Field> fields;
  int64_t at = 0;
  if (descr.items.size() > 2 * kMostFields + 1) return TooManyFields(descr.items.size());  // gaps
  for (const Literal& item : descr.items) {
    const bool shaped = item.Is(Type::kTuple) && (item.items.size() == 2 || item.items.size() == 3);
    const std::string* name = shaped ? FieldName(item.items[0]) : nullptr;
    if (name == nullptr) {
      return Status::Value(
          "a field is described by a tuple ('name', dtype) or "
          "('name', dtype, shape)");
    }
    const auto padding = name->empty() ? VoidWidth(item.items[1]) : std::nullopt;
    int64_t nbytes;
    if (padding) {
      SPANFLOW_ASSIGN(nbytes, PaddingBytes(item, *padding));
    } else {
      const std::string own =
          name->empty() ? "f" + std::to_string(fields.size()) : *name;  // NumPy's default
      SPANFLOW_ASSIGN(Field field, FieldFromDescr(item, own, at));
      nbytes = field.nbytes();
      fields.push_back(std::move(field));
    }
    if (!base::CheckedAdd(at, nbytes, &at)) return Status::Value("a record of more than 63 bits");
  }
  if (fields.size() > kMostFields) return TooManyFields(fields.size());
  return DType::MakeRecord(std::move(fields), at);
}

Result<std::string> FieldDescr(const Field& field) {
  SPANFLOW_ASSIGN(const std::string dtype, DescrOf(field.dtype));
  std::string text = "(" + QuotedLiteral(field.name) + ", " + dtype;
  if (!field.shape.empty()) text += ", " + base::ToString(base::Dims(field.shape));
  return text + ")";
}

std::string PaddingDescr(int64_t nbytes) {
  return nbytes == 0 ? "" : "('', '|V" + std::to_string(nbytes) + "'), ";
}

}  // namespace

Result<DType> DTypeFromDescr(const Literal& descr) {
  if (descr.Is(Type::kString)) return FromCode(descr.text);
  if (descr.Is(Type::kList)) return RecordFromDescr(descr);
  return Status::Value("'descr' must be a string or a list of fields");
}

Result<std::string> DescrOf(const DType& dtype) {
  if (dtype.kind() == base::Kind::kBF16) {
    return Status::Type(
        "NumPy's file format has no bfloat16: convert to float32 "
        "(astype('f4')) first");
  }
  if (dtype.kind() != base::Kind::kRecord) return "'" + dtype.ArrayCode() + "'";
  if (dtype.fields().size() > kMostFields) return TooManyFields(dtype.fields().size());
  std::string text = "[";
  int64_t at = 0;
  for (const Field& field : dtype.fields()) {
    if (field.offset < at) {
      return Status::Type(
          "NumPy's file format has no records whose fields overlap or lie in "
          "another order than they are listed: field '" +
          field.name + "'");
    }
    SPANFLOW_ASSIGN(const std::string own, FieldDescr(field));
    text += PaddingDescr(field.offset - at) + own + ", ";
    at = field.offset + field.nbytes();
  }
  text += PaddingDescr(dtype.itemsize() - at);
  if (text.size() > 1) text.resize(text.size() - 2);  // the last comma
  return text + "]";
}

}  // namespace spanflow::io
