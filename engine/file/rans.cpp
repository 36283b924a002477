// SPDX-License-Identifier: Apache-2.0
#include "file/rans.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"
#include "base/shape.h"

namespace fewbins {
namespace {

constexpr unsigned kBits = 12;
constexpr uint32_t kTotal = 1U << kBits;
constexpr uint32_t kLow = 1U << 16;  // states stay in [kLow, 2^32)
constexpr size_t kStates = 4;        // independent chains, so that their latencies overlap

using Frequencies = std::array<uint32_t, 256>;

// Counts brought to the sum 4096, every symbol that occurs at least 1. Integers only, so that every machine writes the
// same file.
Frequencies normalise(const std::array<uint64_t, 256>& counts, uint64_t n) {
  Frequencies frequencies{};
  uint32_t sum = 0;
  for (size_t s = 0; s < 256; ++s) {
    if (counts[s] == 0) continue;
    frequencies[s] = std::max<uint32_t>(1, static_cast<uint32_t>(counts[s] * kTotal / n));
    sum += frequencies[s];
  }
  // Rounding down leaves some to give; raising rare symbols to 1 may have taken too many. Each step changes the symbol
  // whose cost changes best: count / frequency is the derivative of the code length.
  while (sum != kTotal) {
    const bool give = sum < kTotal;
    size_t best = 256;
    for (size_t s = 0; s < 256; ++s) {
      if (counts[s] == 0 || (!give && frequencies[s] == 1)) continue;
      if (best == 256) {
        best = s;
        continue;
      }
      const uint64_t mine = counts[s] * frequencies[best];
      const uint64_t other = counts[best] * frequencies[s];
      if (give ? mine > other : mine < other) best = s;
    }
    frequencies[best] += give ? 1U : ~0U;
    sum += give ? 1U : ~0U;
  }
  return frequencies;
}

template <class T>
void put(std::vector<std::byte>& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<std::byte>(value >> (8 * i) & 255U));
}

// Takes integers from a span whose length it checks.
class Source {
 public:
  explicit Source(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  T take() {
    if (bytes_.size() < sizeof(T)) fail(ErrorCode::model_file, "the entropy-coded data is cut short");
    T value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value | std::to_integer<T>(bytes_[i]) << (8 * i));
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }
  [[nodiscard]] std::span<const std::byte> rest() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

// What one slot of 0..4095 means.
struct Slot {
  uint16_t frequency;
  uint16_t offset;  // slot - start
  uint8_t symbol;
};

std::array<Slot, kTotal> read_slots(Source& source) {
  std::array<Slot, kTotal> slots{};
  const size_t symbols = size_t{source.take<uint8_t>()} + 1;
  uint32_t start = 0;
  int last = -1;
  for (size_t i = 0; i < symbols; ++i) {
    const auto symbol = source.take<uint8_t>();
    const auto frequency = source.take<uint16_t>();
    if (int{symbol} <= last || frequency == 0 || frequency > kTotal - start)
      fail(ErrorCode::model_file, "the entropy-coded data has an impossible frequency table");
    for (uint32_t k = 0; k < frequency; ++k) slots[start + k] = {frequency, static_cast<uint16_t>(k), symbol};
    start += frequency;
    last = symbol;
  }
  if (start != kTotal) fail(ErrorCode::model_file, "the entropy-coded data's frequencies sum to ", start, ", not 4096");
  return slots;
}

}  // namespace

std::vector<std::byte> rans_encode(std::span<const std::byte> bytes) {
  if (bytes.size() > static_cast<size_t>(kMaxElements))
    fail(ErrorCode::invalid_argument, bytes.size(), " bytes are too many to encode; the limit is ", kMaxElements);
  std::array<uint64_t, 256> counts{};
  for (const std::byte byte : bytes) ++counts[std::to_integer<size_t>(byte)];
  if (bytes.empty()) counts[0] = 1;  // a table must have a symbol
  const Frequencies frequencies = normalise(counts, std::max<uint64_t>(1, bytes.size()));
  Frequencies starts{};
  std::exclusive_scan(frequencies.begin(), frequencies.end(), starts.begin(), 0U);

  // Backwards, so that the decoder goes forwards.
  std::array<uint32_t, kStates> states;
  states.fill(kLow);
  std::vector<uint16_t> words;
  for (size_t i = bytes.size(); i-- > 0;) {
    const auto symbol = std::to_integer<size_t>(bytes[i]);
    uint32_t& x = states[i % kStates];
    if (x >= uint64_t{frequencies[symbol]} << (32 - kBits)) {
      words.push_back(static_cast<uint16_t>(x));
      x >>= 16;
    }
    x = (x / frequencies[symbol] << kBits) + x % frequencies[symbol] + starts[symbol];
  }

  std::vector<std::byte> blob;
  blob.reserve(words.size() * 2 + 1024);
  put(blob, static_cast<uint32_t>(bytes.size()));
  put(blob, static_cast<uint8_t>(std::ranges::count_if(frequencies, [](uint32_t f) { return f != 0; }) - 1));
  for (size_t s = 0; s < 256; ++s) {
    if (frequencies[s] == 0) continue;
    put(blob, static_cast<uint8_t>(s));
    put(blob, static_cast<uint16_t>(frequencies[s]));
  }
  for (const uint32_t x : states) put(blob, x);
  for (size_t i = words.size(); i-- > 0;) put(blob, words[i]);
  return blob;
}

void rans_decode(std::span<const std::byte> blob, std::span<std::byte> out) {
  Source source(blob);
  const auto n = source.take<uint32_t>();
  if (n != out.size())
    fail(ErrorCode::model_file, "the entropy-coded data holds ", n, " bytes where ", out.size(), " are needed");
  const std::array<Slot, kTotal> slots = read_slots(source);
  std::array<uint32_t, kStates> states;
  for (uint32_t& x : states) {
    x = source.take<uint32_t>();
    if (x < kLow) fail(ErrorCode::model_file, "the entropy-coded data starts in an impossible state");
  }
  const std::span<const std::byte> stream = source.rest();
  size_t position = 0;
  const auto step = [&](uint32_t& x) {
    const Slot slot = slots[x & (kTotal - 1)];
    x = slot.frequency * (x >> kBits) + slot.offset;
    if (x < kLow) {
      if (stream.size() - position < 2) fail(ErrorCode::model_file, "the entropy-coded data is cut short");
      x = x << 16 | std::to_integer<uint32_t>(stream[position]) | std::to_integer<uint32_t>(stream[position + 1]) << 8;
      position += 2;
    }
    return std::byte{slot.symbol};
  };
  const size_t whole = out.size() / kStates * kStates;
  for (size_t i = 0; i < whole; i += kStates) {
    out[i] = step(states[0]);
    out[i + 1] = step(states[1]);
    out[i + 2] = step(states[2]);
    out[i + 3] = step(states[3]);
  }
  for (size_t i = whole; i < out.size(); ++i) out[i] = step(states[i % kStates]);
  const bool at_start = std::ranges::all_of(states, [](uint32_t x) { return x == kLow; });
  if (position != stream.size() || !at_start)
    fail(ErrorCode::model_file, "the entropy-coded data does not end where its bytes end");
}

}  // namespace fewbins
