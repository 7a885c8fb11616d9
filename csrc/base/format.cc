// ParseFormat: PEP 3118 format strings to DTypes. A recursive-descent reader over
//   items  = { [order] [shape] [count] code [":name:"] }
//   code   = one of struct's letters, Z + f|d, or T{items}
#include <array>
#include <cctype>
#include <charconv>

#include "base/arith.h"
#include "base/dtype.h"

namespace spanflow::base {
namespace {

struct Code {
  char letter;
  Kind native_kind;    // '@' sizes
  Kind standard_kind;  // '=', '<', '>', '!' sizes
};
constexpr Code kCodes[] = {
    {'?', Kind::kBool, Kind::kBool}, {'b', Kind::kI8, Kind::kI8},   {'B', Kind::kU8, Kind::kU8},
    {'h', Kind::kI16, Kind::kI16},   {'H', Kind::kU16, Kind::kU16}, {'i', Kind::kI32, Kind::kI32},
    {'I', Kind::kU32, Kind::kU32},   {'l', Kind::kI64, Kind::kI32}, {'L', Kind::kU64, Kind::kU32},
    {'q', Kind::kI64, Kind::kI64},   {'Q', Kind::kU64, Kind::kU64}, {'n', Kind::kI64, Kind::kI64},
    {'N', Kind::kU64, Kind::kU64},   {'P', Kind::kU64, Kind::kU64}, {'e', Kind::kF16, Kind::kF16},
    {'f', Kind::kF32, Kind::kF32},   {'d', Kind::kF64, Kind::kF64}, {'F', Kind::kC64, Kind::kC64},
    {'D', Kind::kC128, Kind::kC128},
};

// The exporter's own spelling of a scalar, as a string that lives for ever.
const char* StaticFormat(std::string_view text) {
  static constexpr const char* kKnown[] = {
      "c",  "?",  "b",  "B",  "h",  "H",  "i",  "I",  "l",  "L",  "q",  "Q",  "n",
      "N",  "P",  "e",  "f",  "d",  "@?", "@b", "@B", "@h", "@H", "@i", "@I", "@l",
      "@L", "@q", "@Q", "@n", "@N", "@P", "@e", "@f", "@d", "=?", "=b", "=B", "=h",
      "=H", "=i", "=I", "=l", "=L", "=q", "=Q", "=e", "=f", "=d", "<?", "<b", "<B",
      "<h", "<H", "<i", "<I", "<l", "<L", "<q", "<Q", "<e", "<f", "<d", ">?", ">b",
      ">B", ">h", ">H", ">i", ">I", ">l", ">L", ">q", ">Q", ">e", ">f", ">d", "!?",
      "!b", "!B", "!h", "!H", "!i", "!I", "!l", "!L", "!q", "!Q", "!e", "!f", "!d",
  };
  for (const char* known : kKnown) {
    if (text == known) return known;
  }
  return nullptr;
}

// Exporters do not agree on the padding that a format leaves unsaid; the itemsize tells who is
// right.
enum class Padding {
  kWritten,     // the struct module and NumPy: '@' aligns items, the end of a record is not padded
  kTrailing,    // records inside records are padded at their end as in C
  kEverywhere,  // ctypes before 3.12: says '<' but means C's alignment
  kUnsaid,      // as kWritten, but the one record of the format is padded at its end to any size
};

class Reader {
 public:
  Reader(std::string_view text, Padding padding) : text_(text), padding_(padding) {}

  // The items up to `end` ('\0' or '}') as fields; *align is the widest native alignment seen.
  Result<int64_t> ReadItems(char end, std::vector<Field>* fields, int64_t* align) {
    int64_t at = 0;
    while (Peek() != end) {
      if (Peek() == '\0') return Bad("ends inside T{");
      if (std::isspace(static_cast<unsigned char>(Peek()))) {
        ++pos_;
        continue;
      }
      ReadOrder();
      SPANFLOW_ASSIGN(const Item item, ReadItem());
      if (aligned()) {
        *align = std::max(*align, item.align);
        const auto up = RoundUp(at, item.align);
        if (!up) return Bad("is too large");
        at = *up;
      }
      if (!item.padding) {
        Field field{item.name, item.dtype, at, item.shape};
        if (field.name.empty()) field.name = "f" + std::to_string(fields->size());
        fields->push_back(std::move(field));
      }
      if (!CheckedAdd(at, item.nbytes, &at)) return Bad("is too large");
    }
    return at;
  }

  Status Bad(const std::string& why) const {
    return Status::Type("the buffer format '" + std::string(text_) + "' " + why);
  }

 private:
  struct Item {
    DType dtype;
    std::vector<int64_t> shape;
    std::string name;
    int64_t nbytes = 0;
    int64_t align = 1;
    bool padding = false;
  };

  bool aligned() const { return order_ == '@' || padding_ == Padding::kEverywhere; }

  char Peek() const { return pos_ < text_.size() ? text_[pos_] : '\0'; }

  void ReadOrder() {
    while (Peek() != '\0' && std::string_view("@=<>!^").find(Peek()) != std::string_view::npos) {
      order_ = text_[pos_++];
    }
  }

  Result<int64_t> ReadNumber() {
    int64_t value = 0;
    const char* begin = text_.data() + pos_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0) return Bad("holds a count that cannot be read");
    pos_ += static_cast<size_t>(end - begin);
    return value;
  }

  Status ReadShape(std::vector<int64_t>* shape) {
    ++pos_;  // '('
    while (Peek() != ')') {
      SPANFLOW_ASSIGN(const int64_t extent, ReadNumber());
      shape->push_back(extent);
      while (Peek() == ',' || Peek() == ' ') ++pos_;
    }
    ++pos_;
    return Status::Ok();
  }

  Result<Item> ReadItem() {
    Item item;
    if (Peek() == '(') SPANFLOW_TRY(ReadShape(&item.shape));
    ReadOrder();
    bool counted = false;
    int64_t count = 1;
    if (std::isdigit(static_cast<unsigned char>(Peek()))) {
      SPANFLOW_ASSIGN(count, ReadNumber());
      counted = true;
    }
    SPANFLOW_TRY(ReadCode(count, counted, &item));
    int64_t elements = 1;
    for (int64_t extent : item.shape) {
      if (!CheckedMul(elements, extent, &elements)) return Bad("is too large");
    }
    if (!CheckedMul(elements, item.padding ? count : item.dtype.itemsize(), &item.nbytes)) {
      return Bad("is too large");
    }
    if (Peek() == ':') SPANFLOW_TRY(ReadName(&item.name));
    return item;
  }

  Status ReadName(std::string* name) {
    const size_t end = text_.find(':', pos_ + 1);
    if (end == std::string_view::npos) return Bad("has a field name without its closing ':'");
    *name = text_.substr(pos_ + 1, end - pos_ - 1);
    pos_ = end + 1;
    return Status::Ok();
  }

  Status ReadCode(int64_t count, bool counted, Item* item) {
    const char letter = Peek();
    if (letter == '\0') return Bad("ends where a type code should stand");
    ++pos_;
    if (letter == 'x') {
      item->padding = true;
      return Status::Ok();
    }
    if (letter == 's' || letter == 'c') {
      const bool many_chars = letter == 'c' && counted;
      if (letter == 's' && count > kMaxItemBytes) return Bad("is too large");
      item->dtype = DType::Bytes(letter == 's' ? count : 1);
      if (many_chars) item->shape.push_back(count);
      return Status::Ok();
    }
    if (counted) item->shape.push_back(count);
    if (letter == 'T' && Peek() == '{') return ReadStruct(item);
    return ReadScalar(letter, item);
  }

  Status ReadStruct(Item* item) {
    ++pos_;  // '{'
    if (++depth_ > kMaxRecordDepth) return Bad("nests records too deeply");
    std::vector<Field> fields;
    int64_t align = 1;
    SPANFLOW_ASSIGN(int64_t size, ReadItems('}', &fields, &align));
    --depth_;
    ++pos_;  // '}'
    if (aligned() && (padding_ == Padding::kTrailing || padding_ == Padding::kEverywhere)) {
      size = RoundUp(size, align).value_or(size);
    }
    item->align = align;
    SPANFLOW_ASSIGN(item->dtype, DType::MakeRecord(std::move(fields), size));
    return Status::Ok();
  }

  Status ReadScalar(char letter, Item* item) {
    const bool complex = letter == 'Z';
    if (complex) {
      letter = Peek();
      if (letter == 'f')
        letter = 'F';
      else if (letter == 'd')
        letter = 'D';
      else
        return Bad("holds a complex type that spanflow has not (it has Zf and Zd)");
      ++pos_;
    }
    for (const Code& code : kCodes) {
      if (code.letter != letter) continue;
      const bool native = order_ == '@' || order_ == '^';
      const bool big = order_ == '>' || order_ == '!';
      item->dtype = DType(native ? code.native_kind : code.standard_kind, big);
      item->align = InfoOf(item->dtype.kind()).swap_unit;
      return Status::Ok();
    }
    const std::string name = letter == 'g'   ? "long double"
                             : letter == 'O' ? "Python objects"
                             : letter == 'w' || letter == 'u'
                                 ? "unicode text"
                                 : "type code '" + std::string(1, letter) + "'";
    return Bad("holds " + name + ", which spanflow has not");
  }

  std::string_view text_;
  Padding padding_;
  size_t pos_ = 0;
  char order_ = '@';
  int depth_ = 0;
};

// The whole format under one reading; an error when it does not add up to `itemsize`.
Result<DType> ParsePadded(std::string_view format, int64_t itemsize, Padding padding) {
  Reader reader(format, padding);
  std::vector<Field> fields;
  int64_t align = 1;
  SPANFLOW_ASSIGN(const int64_t size, reader.ReadItems('\0', &fields, &align));
  const bool is_struct = format.starts_with("T{") && fields.size() == 1 &&
                         fields[0].dtype.kind() == Kind::kRecord && fields[0].shape.empty();
  const bool unsaid = padding == Padding::kUnsaid && is_struct && size < itemsize;
  if (size != itemsize && RoundUp(size, align) != itemsize && !unsaid) {
    return reader.Bad("describes " + std::to_string(size) +
                      " bytes, but the exporter's items have " + std::to_string(itemsize));
  }
  const bool named = format.find(':') != std::string_view::npos;
  if (is_struct && size < itemsize) return DType::MakeRecord(fields[0].dtype.fields(), itemsize);
  if (fields.size() == 1 && (!named || is_struct) && fields[0].shape.empty() &&
      fields[0].nbytes() == itemsize) {
    DType dtype = fields[0].dtype;
    if (const char* spelled = StaticFormat(format)) dtype = dtype.WithFormat(spelled);
    return dtype;
  }
  return DType::MakeRecord(std::move(fields), itemsize);
}

}  // namespace

Result<DType> ParseFormat(std::string_view format, int64_t itemsize) {
  auto dtype = ParsePadded(format, itemsize, Padding::kWritten);
  for (const Padding padding : {Padding::kTrailing, Padding::kEverywhere, Padding::kUnsaid}) {
    if (dtype.ok()) break;
    if (auto other = ParsePadded(format, itemsize, padding); other.ok()) dtype = std::move(other);
  }
  return dtype;
}

}  // namespace spanflow::base
