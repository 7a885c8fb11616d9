#include "io/npy_header.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "base/arith.h"
#include "io/literal.h"
#include "io/npy_dtype.h"

namespace spanflow::io {
namespace {

using base::Result;
using base::Status;
using Type = Literal::Type;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kLongestPrefix = 12;                // magic, version, length
constexpr int64_t kLongestHeader = int64_t{1} << 20;  // thousands of fields fit
constexpr size_t kAlignment = 64;

// Where the text of the header lies, and how its bytes are to be read.
struct Frame {
  int major = 0;
  int64_t text_offset = 0;
  int64_t text_bytes = 0;
};

Result<std::string> ReadText(const platform::File& file, int64_t offset, int64_t nbytes) {
  std::string text(static_cast<size_t>(nbytes), '\0');
  SPANFLOW_ASSIGN(const int64_t got,
                  file.ReadAt(offset, reinterpret_cast<std::byte*>(text.data()), nbytes));
  text.resize(static_cast<size_t>(got));
  return text;
}

Status NotNpy(std::string_view start) {
  if (start.empty()) return Status::Value("the file is empty; a .npy file has a header");
  if (start.starts_with("PK\x03\x04")) {
    return Status::Value("is a zip archive (.npz), not a .npy file; unpack it first");
  }
  return Status::Value(
      "is not a .npy file: it does not start with \\x93NUMPY; to open it as raw "
      "bytes, say its dtype");
}

Result<Frame> ParseFrame(std::string_view prefix) {
  const auto byte = [prefix](size_t i) { return int64_t{static_cast<unsigned char>(prefix[i])}; };
  if (!prefix.starts_with(kMagic)) return NotNpy(prefix);
  if (prefix.size() < 10) return Status::Value("the file ends inside its header");
  Frame frame;
  frame.major = static_cast<int>(byte(6));
  if (frame.major < 1 || frame.major > 3 || byte(7) != 0) {
    return Status::Value("is a .npy file of version " + std::to_string(byte(6)) + "." +
                         std::to_string(byte(7)) + "; 1.0, 2.0 and 3.0 are known");
  }
  frame.text_offset = frame.major == 1 ? 10 : 12;
  if (static_cast<int64_t>(prefix.size()) < frame.text_offset) {
    return Status::Value("the file ends inside its header");
  }
  frame.text_bytes = byte(8) | byte(9) << 8;
  if (frame.major > 1) frame.text_bytes |= byte(10) << 16 | byte(11) << 24;
  return frame;
}

// Versions 1 and 2 are Latin-1, version 3 is UTF-8.
std::string Latin1ToUtf8(std::string_view latin1) {
  std::string utf8;
  for (const char c : latin1) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) utf8 += static_cast<char>(0xC0 | byte >> 6);
    utf8 += static_cast<char>(byte < 0x80 ? byte : 0x80 | (byte & 0x3F));
  }
  return utf8;
}

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x80) continue;
    const size_t more = lead >= 0xC2 && lead < 0xE0   ? 1
                        : lead >= 0xE0 && lead < 0xF0 ? 2
                        : lead >= 0xF0 && lead < 0xF5 ? 3
                                                      : 0;
    if (more == 0 || text.size() - i < more) return false;
    const auto second = static_cast<unsigned char>(text[i]);
    // Overlong forms, surrogates, and what lies above U+10FFFF.
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) ||
        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90)) {
      return false;
    }
    for (size_t end = i + more; i < end; ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return false;
    }
  }
  return true;
}

// The three entries of the header's dict, each present exactly once.
struct Entries {
  const Literal* descr = nullptr;
  const Literal* fortran_order = nullptr;
  const Literal* shape = nullptr;
};

Result<Entries> FindEntries(const Literal& header) {
  Entries entries;
  if (!header.Is(Type::kDict)) return Status::Value("the header is not a dict");
  for (size_t i = 0; i < header.items.size(); i += 2) {
    const std::string& key = header.items[i].text;
    const Literal** entry = key == "descr"           ? &entries.descr
                            : key == "fortran_order" ? &entries.fortran_order
                            : key == "shape"         ? &entries.shape
                                                     : nullptr;
    if (entry == nullptr || *entry != nullptr) {
      return Status::Value("the header has a wrong or doubled key " + QuotedLiteral(key));
    }
    *entry = &header.items[i + 1];
  }
  if (entries.descr == nullptr || entries.fortran_order == nullptr || entries.shape == nullptr) {
    return Status::Value("the header must have the keys 'descr', 'fortran_order' and 'shape'");
  }
  if (!entries.fortran_order->Is(Type::kBool)) {
    return Status::Value("'fortran_order' must be True or False");
  }
  return entries;
}

Result<base::Dims> ShapeOf(const Literal& literal) {
  if (!literal.Is(Type::kTuple)) return Status::Value("'shape' must be a tuple of integers");
  if (literal.items.size() > base::kMaxDims) {
    return Status::Value("the array has " + std::to_string(literal.items.size()) +
                         " dimensions; at most 64 are supported");
  }
  base::Dims shape;
  for (const Literal& extent : literal.items) {
    if (!extent.Is(Type::kInteger)) return Status::Value("'shape' must be a tuple of integers");
    shape.push_back(extent.number);
  }
  return shape;
}

Result<base::Layout> ParseText(std::string text, int major) {
  if (text.find('\0') != text.npos) return Status::Value("the header holds a zero byte");
  if (major < 3) {
    text = Latin1ToUtf8(text);
  } else if (!IsUtf8(text)) {
    return Status::Value("the header is not valid UTF-8");
  }
  SPANFLOW_ASSIGN(const Literal header, ParseLiteral(text));
  SPANFLOW_ASSIGN(const Entries entries, FindEntries(header));
  SPANFLOW_ASSIGN(const base::Dims shape, ShapeOf(*entries.shape));
  SPANFLOW_ASSIGN(const base::DType dtype, DTypeFromDescr(*entries.descr));
  return entries.fortran_order->number != 0 ? base::Layout::FortranContiguous(dtype, shape)
                                            : base::Layout::Contiguous(dtype, shape);
}

Result<NpyHeader> ReadChecked(const platform::File& file) {
  SPANFLOW_ASSIGN(const int64_t size, file.Size());
  SPANFLOW_ASSIGN(const std::string prefix, ReadText(file, 0, kLongestPrefix));
  SPANFLOW_ASSIGN(const Frame frame, ParseFrame(prefix));
  const int64_t data_offset = frame.text_offset + frame.text_bytes;
  if (data_offset > size) {
    return Status::Value("its header should end at byte " + std::to_string(data_offset) +
                         ", but the file has " + std::to_string(size) + " bytes");
  }
  if (frame.text_bytes > kLongestHeader) {
    return Status::Value("its header has " + std::to_string(frame.text_bytes) + " bytes; at most " +
                         std::to_string(kLongestHeader) + " are read");
  }
  SPANFLOW_ASSIGN(std::string text, ReadText(file, frame.text_offset, frame.text_bytes));
  SPANFLOW_ASSIGN(base::Layout layout, ParseText(std::move(text), frame.major));
  if (layout.nbytes() > size - data_offset) {
    return Status::Value("its header promises " + std::to_string(layout.nbytes()) +
                         " bytes of data (shape " + base::ToString(layout.shape) + ", dtype " +
                         layout.dtype.ToString() + "), but only " +
                         std::to_string(size - data_offset) + " are there");
  }
  return NpyHeader{std::move(layout), data_offset};
}

}  // namespace

Result<NpyHeader> ReadNpyHeader(const platform::File& file) {
  Result<NpyHeader> header = ReadChecked(file);
  const Status& status = header.status();
  if (header.ok() || status.code() == base::Code::kOs) return header;
  return Status(status.code(), "'" + file.path() + "': " + status.message());
}

Result<std::string> FormatNpyHeader(const base::DType& dtype, const base::Dims& shape,
                                    bool fortran) {
  SPANFLOW_ASSIGN(const std::string descr, DescrOf(dtype));
  std::string text = "{'descr': " + descr + ", 'fortran_order': " + (fortran ? "True" : "False") +
                     ", 'shape': " + base::ToString(shape) + ", }";
  const bool ascii = std::all_of(text.begin(), text.end(),
                                 [](char c) { return static_cast<signed char>(c) >= 0; });
  // Room for the padding and the line end is counted in before the version is chosen.
  const bool fits_version_1 = ascii && text.size() + kAlignment < 65536;
  const char major = fits_version_1 ? 1 : ascii ? 2 : 3;
  const size_t prefix = fits_version_1 ? 10 : 12;
  const size_t total = (prefix + text.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  text.append(total - prefix - text.size() - 1, ' ').append(1, '\n');
  if (static_cast<int64_t>(text.size()) > kLongestHeader) {
    return Status::Value("the header for dtype and shape would have " +
                         std::to_string(text.size()) + " bytes; at most " +
                         std::to_string(kLongestHeader) +
                         " are read and written: use fewer fields, or shorter names");
  }
  std::string header(kMagic);
  header.append(1, major).append(1, '\0');
  for (size_t i = 0; i < prefix - 8; ++i) {
    header.append(1, static_cast<char>(text.size() >> (8 * i) & 0xFF));
  }
  return header + text;
}

}  // namespace spanflow::io
