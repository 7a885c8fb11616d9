// Bytes of .npy files, good and lying, as tests need them.
#pragma once

#include <cstdint>
#include <string>

namespace spanflow::testing {

// A file of the given version around the text of a header, which is not padded.
inline std::string NpyBytes(const std::string& header, const std::string& data = "",
                            int major = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(major);
  bytes += '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) {
    bytes += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  }
  return bytes + header + data;
}

inline std::string HeaderText(const std::string& descr, const std::string& shape,
                              bool fortran = false) {
  return "{'descr': " + descr + ", 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }";
}

}  // namespace spanflow::testing
