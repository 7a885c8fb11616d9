#include "base/dtype.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

#include "base/arith.h"

namespace spanflow::base {
namespace {

static_assert(std::endian::native == std::endian::little,
              "spanflow is built and tested for little-endian machines");

constexpr std::array<KindInfo, kNumKinds> kKinds = {{
    {"bool", "b1", "?", 1, 1},
    {"int8", "i1", "b", 1, 1},
    {"uint8", "u1", "B", 1, 1},
    {"int16", "i2", "h", 2, 2},
    {"uint16", "u2", "H", 2, 2},
    {"int32", "i4", "i", 4, 4},
    {"uint32", "u4", "I", 4, 4},
    {"int64", "i8", "l", 8, 8},
    {"uint64", "u8", "L", 8, 8},
    {"float16", "f2", "e", 2, 2},
    {"bfloat16", "bf2", "H", 2, 2},  // PEP 3118 has no code for it: consumers see its bits
    {"float32", "f4", "f", 4, 4},
    {"float64", "f8", "d", 8, 8},
    {"complex64", "c8", "Zf", 8, 4},
    {"complex128", "c16", "Zd", 16, 8},
}};
static_assert(sizeof(long) == 8, "the format of int64 is 'l' where long has 64 bits");

// The struct module knows sizes of l and L only in standard size (4) once a byte order is given.
const char* SwappedFormat(Kind kind) {
  static constexpr std::array<const char*, kNumKinds> kSwapped = {
      "?", "b", "B", ">h", ">H", ">i", ">I", ">q", ">Q", ">e", ">H", ">f", ">d", ">Zf", ">Zd"};
  return kSwapped[static_cast<size_t>(kind)];
}

const std::vector<Field>& NoFields() {
  static const std::vector<Field>& none = *new std::vector<Field>;
  return none;
}

// Inside T{…} every scalar says its byte order, so that the reader never falls into '@' alignment.
std::string FieldFormat(const Field& field) {
  std::string text;
  if (!field.shape.empty()) {
    text += '(';
    for (size_t i = 0; i < field.shape.size(); ++i) {
      if (i != 0) text += ',';
      text += std::to_string(field.shape[i]);
    }
    text += ')';
  }
  const DType& dtype = field.dtype;
  if (dtype.numeric() && !dtype.swapped()) {
    // '=' forces standard sizes, where 64-bit integers are q and Q.
    text += '=';
    text += dtype.kind() == Kind::kI64   ? "q"
            : dtype.kind() == Kind::kU64 ? "Q"
                                         : InfoOf(dtype.kind()).format;
  } else {
    text += dtype.format();
  }
  return text + ':' + field.name + ':';
}

void AppendPadding(std::string& text, int64_t bytes) {
  if (bytes <= 0) return;
  if (bytes > 1) text += std::to_string(bytes);
  text += 'x';
}

// PEP 3118 ends a name at the next ':' and the format at the first zero byte, and has no escapes.
bool CanBeSpelled(const std::string& name) { return name.find_first_of({":\0", 2}) == name.npos; }

// PEP 3118 lists fields by rising offset. Overlapping fields and some names cannot be written at
// all: such items are exported as bytes.
std::string RecordFormat(const std::vector<Field>& fields, int64_t itemsize) {
  std::vector<const Field*> by_offset;
  for (const Field& field : fields) by_offset.push_back(&field);
  std::stable_sort(by_offset.begin(), by_offset.end(),
                   [](const Field* a, const Field* b) { return a->offset < b->offset; });
  std::string text = "T{";
  int64_t at = 0;
  for (const Field* field : by_offset) {
    if (field->offset < at || !CanBeSpelled(field->name)) return std::to_string(itemsize) + 's';
    AppendPadding(text, field->offset - at);
    text += FieldFormat(*field);
    at = field->offset + field->nbytes();
  }
  AppendPadding(text, itemsize - at);
  return text + '}';
}

Status TooWide(const std::string& what, int64_t itemsize) {
  return Status::Value(what + " of " + std::to_string(itemsize) +
                       " bytes is too large: one item has " + "at most " +
                       std::to_string(kMaxItemBytes) + " bytes");
}

}  // namespace

const KindInfo& InfoOf(Kind kind) { return kKinds[static_cast<size_t>(kind)]; }

DType::DType(Kind kind, bool swapped) : kind_(kind), itemsize_(InfoOf(kind).itemsize) {
  swapped_ = swapped && InfoOf(kind).swap_unit > 1;
  format_ = swapped_ ? SwappedFormat(kind) : InfoOf(kind).format;
}

DType DType::Bytes(int64_t width) {
  DType dtype(Kind::kU8);
  dtype.kind_ = Kind::kBytes;
  dtype.itemsize_ = width;
  dtype.record_ = std::make_shared<const Record>(Record{std::to_string(width) + 's', {}, 0});
  return dtype;
}

Result<DType> DType::MakeRecord(std::vector<Field> fields, int64_t itemsize) {
  int depth = 1;
  for (size_t i = 0; i < fields.size(); ++i) {
    const Field& field = fields[i];
    SPANFLOW_ASSIGN(const int64_t nbytes, field.CheckedNbytes());
    int64_t end;
    if (field.offset < 0 || !CheckedAdd(field.offset, nbytes, &end) || end > itemsize) {
      return Status::Value("field '" + field.name + "' at byte " + std::to_string(field.offset) +
                           " does not fit into a record of " + std::to_string(itemsize) + " bytes");
    }
    for (size_t j = 0; j < i; ++j) {
      if (fields[j].name == field.name) {
        return Status::Value("the field name '" + field.name + "' stands twice in the record");
      }
    }
    depth = std::max(depth, field.dtype.record_depth() + 1);
  }
  if (itemsize < 0) return Status::Value("a record cannot have a negative itemsize");
  if (itemsize > kMaxItemBytes) return TooWide("a record", itemsize);
  if (depth > kMaxRecordDepth) {
    return Status::Value("records nest at most " + std::to_string(kMaxRecordDepth) + " deep");
  }
  std::string format = RecordFormat(fields, itemsize);
  DType dtype(Kind::kU8);
  dtype.kind_ = Kind::kRecord;
  dtype.itemsize_ = itemsize;
  dtype.record_ =
      std::make_shared<const Record>(Record{std::move(format), std::move(fields), depth});
  return dtype;
}

const std::vector<Field>& DType::fields() const { return record_ ? record_->fields : NoFields(); }

const Field* DType::FindField(std::string_view name) const {
  for (const Field& field : fields()) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

bool DType::has_swapped_parts() const {
  if (swapped_) return true;
  for (const Field& field : fields()) {
    if (field.dtype.has_swapped_parts()) return true;
  }
  return false;
}

DType DType::Swapped() const {
  if (numeric()) return DType(kind_, !swapped_);
  if (kind_ == Kind::kBytes) return *this;
  std::vector<Field> swapped = fields();
  for (Field& field : swapped) field.dtype = field.dtype.Swapped();
  return *MakeRecord(std::move(swapped), itemsize_);  // the same offsets were checked before
}

DType DType::WithFormat(const char* format) const {
  DType dtype = *this;
  if (numeric()) {
    dtype.format_ = format;
  } else {
    dtype.record_ = std::make_shared<const Record>(Record{format, fields(), record_->depth});
  }
  return dtype;
}

std::string DType::Name() const {
  if (numeric()) return InfoOf(kind_).name;
  if (kind_ == Kind::kBytes) return "bytes" + std::to_string(itemsize_ * 8);
  return "record" + std::to_string(itemsize_ * 8);
}

std::string DType::ArrayCode() const {
  if (kind_ == Kind::kBytes) return "|S" + std::to_string(itemsize_);
  if (kind_ == Kind::kRecord) return "|V" + std::to_string(itemsize_);
  const KindInfo& info = InfoOf(kind_);
  const char* order = info.swap_unit == 1 ? "|" : swapped_ ? ">" : "<";
  return std::string(order) + info.array_code;
}

std::string DType::ToString() const {
  if (kind_ == Kind::kBytes) return "S" + std::to_string(itemsize_);
  if (numeric()) return swapped_ ? ArrayCode() : Name();
  std::string text = "[";
  for (const Field& field : fields()) {
    if (text.size() > 1) text += ", ";
    text += "('" + field.name + "', " +
            (field.dtype.kind() == Kind::kRecord ? field.dtype.ToString()
                                                 : "'" + field.dtype.ArrayCode() + "'");
    if (!field.shape.empty()) {
      text += ", (";
      for (int64_t n : field.shape) text += std::to_string(n) + ",";
      text += ")";
    }
    text += ")";
  }
  return text + "]";
}

bool DType::operator==(const DType& other) const {
  if (kind_ != other.kind_ || swapped_ != other.swapped_ || itemsize_ != other.itemsize_) {
    return false;
  }
  if (record_ == other.record_ || kind_ != Kind::kRecord) return true;
  const std::vector<Field>&a = fields(), &b = other.fields();
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name || a[i].offset != b[i].offset || a[i].shape != b[i].shape ||
        !(a[i].dtype == b[i].dtype)) {
      return false;
    }
  }
  return true;
}

int64_t Field::count() const {
  int64_t count = 1;
  for (int64_t n : shape) count *= n;
  return count;
}

Result<int64_t> Field::CheckedNbytes() const {
  const std::string what = "the sub-array of field '" + name + "'";
  if (shape.size() > kMaxDims) {
    return Status::Value(what + " has " + std::to_string(shape.size()) + " dimensions; at most " +
                         std::to_string(kMaxDims) + " are supported");
  }
  // As in CheckedBytes: what is empty along one dimension must be small along the others too.
  int64_t bytes = std::max<int64_t>(dtype.itemsize(), 1);
  for (int64_t n : shape) {
    if (n < 0) return Status::Value(what + " has a negative shape");
    if (!CheckedMul(bytes, std::max<int64_t>(n, 1), &bytes)) {
      return Status::Value(what + " is too large");
    }
  }
  return nbytes();
}

Result<DType> ParseDTypeName(std::string_view text) {
  const std::string_view given = text;
  for (int k = 0; k < kNumKinds; ++k) {
    if (text == kKinds[static_cast<size_t>(k)].name) return DType(static_cast<Kind>(k));
  }
  bool swapped = false;
  if (!text.empty() && std::string_view("<>=|").find(text[0]) != std::string_view::npos) {
    swapped = text[0] == '>';
    text.remove_prefix(1);
  }
  for (int k = 0; k < kNumKinds; ++k) {
    if (text == kKinds[static_cast<size_t>(k)].array_code) {
      return DType(static_cast<Kind>(k), swapped);
    }
  }
  static constexpr struct {
    const char* name;
    Kind kind;
  } kAliases[] = {
      {"?", Kind::kBool},    {"b", Kind::kI8},         {"B", Kind::kU8},
      {"h", Kind::kI16},     {"H", Kind::kU16},        {"i", Kind::kI32},
      {"I", Kind::kU32},     {"l", Kind::kI64},        {"L", Kind::kU64},
      {"q", Kind::kI64},     {"Q", Kind::kU64},        {"e", Kind::kF16},
      {"f", Kind::kF32},     {"d", Kind::kF64},        {"F", Kind::kC64},
      {"D", Kind::kC128},    {"int", Kind::kI64},      {"uint", Kind::kU64},
      {"half", Kind::kF16},  {"single", Kind::kF32},   {"double", Kind::kF64},
      {"float", Kind::kF64}, {"complex", Kind::kC128}, {"bool_", Kind::kBool},
      {"intp", Kind::kI64},  {"uintp", Kind::kU64},
  };
  for (const auto& alias : kAliases) {
    if (text == alias.name) return DType(alias.kind, swapped);
  }
  if (text.size() > 1 && (text[0] == 'S' || text[0] == 'a')) {
    int64_t width = 0;
    const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), width);
    if (error == std::errc() && end == text.data() + text.size() && width >= 0) {
      if (width > kMaxItemBytes) return TooWide("dtype '" + std::string(given) + "'", width);
      return DType::Bytes(width);
    }
  }
  return Status::Type("dtype '" + std::string(given) +
                      "' is not supported: spanflow has bool, int8…int64, uint8…uint64, float16, "
                      "bfloat16, float32, float64, complex64, complex128, S<n> bytes and records "
                      "of these");
}

}  // namespace spanflow::base
