// Items: an array seen as a list of equal sub-arrays, for selections that move whole items.
//
// Owns: nothing. Threads: thread-compatible; immutable once made. Attached: not needed.
// Fails: never; there must be at least one element in an item.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "array/gather.h"
#include "array/iterate.h"
#include "array/view.h"

namespace spanflow::array {

// The axes of `view` from `first` on, as one item; in an array of its own it is contiguous.
class ItemShape {
 public:
  ItemShape(const View& view, int first);

  int64_t bytes() const { return bytes_; }
  bool dense() const { return dense_; }  // an item lies in memory without gaps, in C order

  // Between an item in the view, at `place`, and a contiguous one.
  void Read(const std::byte* place, std::byte* out) const {
    if (dense_)
      std::memcpy(out, place, static_cast<size_t>(bytes_));
    else
      ReadGaps(place, out);
  }
  void Write(const std::byte* in, std::byte* place) const {
    if (dense_)
      std::memcpy(place, in, static_cast<size_t>(bytes_));
    else
      WriteGaps(in, place);
  }

 private:
  void ReadGaps(const std::byte* place, std::byte* out) const;
  void WriteGaps(const std::byte* in, std::byte* place) const;

  std::byte* origin_;  // any item of the view: places are seen from here
  int64_t itemsize_;
  int64_t elements_;
  int64_t bytes_;
  bool dense_;
  Walk walk_;
};

// The axes [first, last) of a view in C order, nothing sorted or flipped.
void MakeOrderedWalk(const View& view, int first, int last, Walk* walk);

}  // namespace spanflow::array
