// DType: what one element is - its kind, byte order, size, PEP 3118 format and record fields.
//
// Owns: scalars own nothing (their format strings are static); records and bytes share one
// immutable Record. Cheap to copy.
// Threads: thread-compatible values; the shared Record is immutable, so copies may be used
// anywhere. Attached: not needed. Fails: parsing returns a Status that names what was given.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace spanflow::base {

// Order matters: kinds below kBytes are the ones that kernels know (kNumKinds of them).
enum class Kind : uint8_t {
  kBool,
  kI8,
  kU8,
  kI16,
  kU16,
  kI32,
  kU32,
  kI64,
  kU64,
  kF16,
  kBF16,
  kF32,
  kF64,
  kC64,
  kC128,
  kBytes,   // fixed-width bytes, NumPy's S
  kRecord,  // named fields at any offset
};
inline constexpr int kNumKinds = static_cast<int>(Kind::kBytes);  // numeric kinds
inline constexpr int kNumAllKinds = static_cast<int>(Kind::kRecord) + 1;

// What is fixed for a numeric kind.
struct KindInfo {
  const char* name;        // "float32"
  const char* array_code;  // "f4": the array interface code without byte order
  const char* format;      // "f": PEP 3118, native
  int itemsize;            // bytes
  int swap_unit;           // bytes that are reversed together when the byte order is foreign
};
const KindInfo& InfoOf(Kind kind);  // numeric kinds only

constexpr bool IsNumeric(Kind kind) { return kind < Kind::kBytes; }
constexpr bool IsSigned(Kind kind) {
  return kind == Kind::kI8 || kind == Kind::kI16 || kind == Kind::kI32 || kind == Kind::kI64;
}
constexpr bool IsUnsigned(Kind kind) {
  return kind == Kind::kU8 || kind == Kind::kU16 || kind == Kind::kU32 || kind == Kind::kU64;
}
constexpr bool IsInteger(Kind kind) { return IsSigned(kind) || IsUnsigned(kind); }
constexpr bool IsFloat(Kind kind) { return kind >= Kind::kF16 && kind <= Kind::kF64; }
constexpr bool IsComplex(Kind kind) { return kind == Kind::kC64 || kind == Kind::kC128; }

inline constexpr int kMaxDims = 64;                               // PyBUF_MAX_NDIM
inline constexpr int64_t kMaxItemBytes = (int64_t{1} << 31) - 1;  // NumPy's limit

struct Field;

// The shared part of a record or bytes dtype. Immutable once a DType holds it.
struct Record {
  std::string format;         // PEP 3118, as exported
  std::vector<Field> fields;  // in order of definition; empty for bytes
  int depth = 1;              // of records inside records
};
inline constexpr int kMaxRecordDepth = 16;

class DType {
 public:
  DType() : DType(Kind::kF64) {}
  explicit DType(Kind kind, bool swapped = false);  // numeric kinds
  static DType Bytes(int64_t width);
  // Names, offsets, shapes and sizes are the caller's and are checked here.
  static Result<DType> MakeRecord(std::vector<Field> fields, int64_t itemsize);

  Kind kind() const { return kind_; }
  int64_t itemsize() const { return itemsize_; }
  bool swapped() const { return swapped_; }  // stored in the byte order that this machine has not
  bool numeric() const { return IsNumeric(kind_); }
  const char* format() const { return record_ ? record_->format.c_str() : format_; }
  const std::vector<Field>& fields() const;             // empty unless a record
  const Field* FindField(std::string_view name) const;  // nullptr when there is none
  bool has_swapped_parts() const;                       // itself or any field
  int record_depth() const { return record_ ? record_->depth : 0; }

  DType Native() const { return numeric() ? DType(kind_) : *this; }
  // The same kind in the other byte order; records are swapped field by field.
  DType Swapped() const;
  // The same dtype that exports another equivalent format string ("q" for "l", "c" for "1s");
  // static strings only.
  DType WithFormat(const char* format) const;

  std::string Name() const;       // "float32", "bytes10", "record": for people
  std::string ArrayCode() const;  // "<f4", "|b1", "|S10", "|V12": the array interface's typestr
  std::string ToString() const;   // "float32", ">f4", "[('x', '<f4'), …]"

  // Same kind, byte order, size and fields (names, offsets, dtypes); the format text is ignored.
  bool operator==(const DType& other) const;

 private:
  Kind kind_;
  bool swapped_ = false;
  int64_t itemsize_;
  const char* format_ = nullptr;  // numeric kinds
  std::shared_ptr<const Record> record_;
};

struct Field {
  std::string name;
  DType dtype;
  int64_t offset = 0;
  std::vector<int64_t> shape;  // of a sub-array field; empty for one element

  int64_t count() const;  // elements in the sub-array
  int64_t nbytes() const { return count() * dtype.itemsize(); }
  // nbytes of a field that no record has checked yet.
  Result<int64_t> CheckedNbytes() const;
};

// "float32", "f4", "<f4", ">i2", "?", "S10", "bfloat16", …: NumPy's names and codes.
Result<DType> ParseDTypeName(std::string_view text);

// A PEP 3118 format: "f", "<h", "Zd", "10s", "T{<f:x:<i:y:}", with padding, counts and sub-arrays.
// `itemsize` is the exporter's; a format that does not add up to it is refused.
Result<DType> ParseFormat(std::string_view format, int64_t itemsize);

}  // namespace spanflow::base
