// Chains: several operations on one run, a tile of vectors at a time that stays in registers
// between them. Compiled once per SIMD target.
#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/chain.cc"
#include <utility>

#include "hwy/foreach_target.h"
#include "simd/arithmetic-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

// So many vectors hide the latency of an operation and share the choice of the next one.
inline constexpr size_t kTileVectors = 8;
using TileIndex = std::make_index_sequence<kTileVectors>;

template <class D>
struct Tile {
  hn::Vec<D> v[kTileVectors];
};
template <class D>
inline constexpr size_t kTileBytes = kTileVectors* hn::MaxLanes(D()) * sizeof(LaneOf<D>);

// The operand of vector kVector of the tile at `offset` bytes; bit kOperand of kRunning: the result
// so far.
template <unsigned kRunning, size_t kOperand, size_t kVector, class D>
HWY_INLINE hn::Vec<D> OperandOf(D d, const ChainLink& link, size_t offset, const Tile<D>& tile) {
  if constexpr ((kRunning >> kOperand & 1) != 0) {
    return tile.v[kVector];
  } else {
    constexpr size_t kStep = hn::MaxLanes(D()) * sizeof(LaneOf<D>);
    const ChainOperand& operand = link.in[kOperand];
    return Load(d, operand.at + (operand.repeats ? 0 : offset + kVector * kStep));
  }
}

template <class F, unsigned kRunning, size_t kVector, class D, size_t... kOperand>
HWY_INLINE hn::Vec<D> LinkOf(D d, const ChainLink& link, size_t offset, const Tile<D>& tile,
                             std::index_sequence<kOperand...>) {
  return F()(d, OperandOf<kRunning, kOperand, kVector>(d, link, offset, tile)...);
}

template <class F, size_t kArity, unsigned kRunning, class D, size_t... kVector>
HWY_INLINE void LinkTile(D d, const ChainLink& link, size_t offset, Tile<D>& tile,
                         std::index_sequence<kVector...>) {
  ((tile.v[kVector] =
        LinkOf<F, kRunning, kVector>(d, link, offset, tile, std::make_index_sequence<kArity>())),
   ...);
}

template <class F, size_t kArity, class D>
HWY_INLINE void ApplyLink(D d, const ChainLink& link, size_t offset, Tile<D>& tile) {
  unsigned running = 0;
  for (unsigned k = 0; k < kArity; ++k) running |= unsigned{link.in[k].at == nullptr} << k;
  if (running == 0) return LinkTile<F, kArity, 0>(d, link, offset, tile, TileIndex());
  if (running == 1) return LinkTile<F, kArity, 1>(d, link, offset, tile, TileIndex());
  if constexpr (kArity == 2) {
    if (running == 2) return LinkTile<F, kArity, 2>(d, link, offset, tile, TileIndex());
    return LinkTile<F, kArity, 3>(d, link, offset, tile, TileIndex());
  }
}

template <class D, size_t... kVector>
HWY_INLINE void StoreTile(D d, const Tile<D>& tile, std::byte* out,
                          std::index_sequence<kVector...>) {
  constexpr size_t kStep = hn::MaxLanes(D()) * sizeof(LaneOf<D>);
  (Store(tile.v[kVector], d, out + kVector * kStep), ...);
}

template <class D>
HWY_INLINE void RunTile(D d, std::span<const ChainLink> links, size_t offset, std::byte* out) {
  Tile<D> tile;
  for (auto& v : tile.v) v = hn::Zero(d);
  for (const ChainLink& link : links) {
    switch (link.op) {
#define SPANFLOW_ROW(Name)                                                                  \
  case Op::k##Name:                                                                         \
    ApplyLink<Name, static_cast<size_t>(InfoOf(Op::k##Name).arity)>(d, link, offset, tile); \
    break;
      SPANFLOW_CHAIN(SPANFLOW_ROW)
#undef SPANFLOW_ROW
      default:
        break;
    }
  }
  StoreTile(d, tile, out, TileIndex());
}

// Less than a tile: operands and the result go through buffers, so that nothing past the end is
// read or written.
template <class D>
HWY_NOINLINE void RunPartOfTile(D d, std::span<const ChainLink> links, size_t offset,
                                std::byte* out, size_t nbytes) {
  alignas(64) std::byte copies[kMaxLinks * 2 + 1][kTileBytes<D>];
  alignas(64) std::byte result[kTileBytes<D>];
  std::array<ChainLink, kMaxLinks> moved;
  size_t used = 0;
  for (size_t i = 0; i < links.size(); ++i) {
    moved[i] = links[i];
    for (ChainOperand& operand : moved[i].in) {
      if (operand.at == nullptr || operand.repeats) continue;
      std::memcpy(copies[used], operand.at + offset, nbytes);
      std::memset(copies[used] + nbytes, 0, kTileBytes<D> - nbytes);
      operand.at = copies[used++];
    }
  }
  RunTile(d, std::span(moved).first(links.size()), 0, result);
  std::memcpy(out, result, nbytes);
}

template <class T>
void RunChain(std::span<const ChainLink> links, void* output, size_t n) {
  const hn::ScalableTag<T> d;
  constexpr size_t kBytes = kTileBytes<hn::ScalableTag<T>>;
  auto* const out = static_cast<std::byte*>(output);
  const size_t nbytes = n * sizeof(T);
  size_t offset = 0;
  for (; offset + kBytes <= nbytes; offset += kBytes) RunTile(d, links, offset, out + offset);
  if (offset < nbytes) RunPartOfTile(d, links, offset, out + offset, nbytes - offset);
}

void Fill(Tables* tables) {
  tables->chains[static_cast<size_t>(base::Kind::kF32)] = &RunChain<float>;
  tables->chains[static_cast<size_t>(base::Kind::kF64)] = &RunChain<double>;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Chains)
#endif
