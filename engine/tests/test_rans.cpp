// SPDX-License-Identifier: Apache-2.0
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "file/crc32c.h"
#include "file/rans.h"

namespace fewbins {
namespace {

using Bytes = std::vector<std::byte>;

Bytes decode(const Bytes& blob, size_t n) {
  Bytes out(n);
  rans_decode(blob, out);
  return out;
}

// Few-bin weights: small integers around zero.
Bytes weights(size_t n, unsigned seed) {
  std::minstd_rand random(seed);
  Bytes bytes(n);
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(static_cast<int>(random() % 5 + random() % 5 + random() % 5) - 6);
  return bytes;
}

BOOST_AUTO_TEST_SUITE(rans)

BOOST_AUTO_TEST_CASE(decoding_gives_back_what_was_encoded) {
  for (size_t n = 0; n < 40; ++n) BOOST_TEST((decode(rans_encode(weights(n, 1)), n) == weights(n, 1)), "n = " << n);
  BOOST_TEST((decode(rans_encode(weights(100'003, 2)), 100'003) == weights(100'003, 2)));
}

BOOST_AUTO_TEST_CASE(all_bytes_and_one_byte_alone_are_alphabets_too) {
  Bytes all(4096);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::byte>(i % 256);
  BOOST_TEST((decode(rans_encode(all), all.size()) == all));
  const Bytes one(10'000, std::byte{7});
  const Bytes blob = rans_encode(one);
  BOOST_TEST(blob.size() < 32);  // a certain symbol costs nothing
  BOOST_TEST((decode(blob, one.size()) == one));
}

BOOST_AUTO_TEST_CASE(rare_symbols_keep_a_frequency) {
  Bytes bytes(200'000, std::byte{0});
  for (size_t i = 1; i < 256; ++i) bytes[i * 700] = static_cast<std::byte>(i);
  BOOST_TEST((decode(rans_encode(bytes), bytes.size()) == bytes));
}

BOOST_AUTO_TEST_CASE(the_size_is_near_the_entropy) {
  const Bytes bytes = weights(200'000, 3);
  std::map<std::byte, double> counts;
  for (const std::byte byte : bytes) counts[byte] += 1.0;
  double bits = 0.0;
  for (const auto& [byte, count] : counts) bits -= count * std::log2(count / static_cast<double>(bytes.size()));
  BOOST_TEST(static_cast<double>(rans_encode(bytes).size()) < bits / 8.0 * 1.001 + 64.0);
}

BOOST_AUTO_TEST_CASE(a_blob_cut_anywhere_is_refused) {
  const Bytes blob = rans_encode(weights(300, 4));
  for (size_t size = 0; size < blob.size(); ++size)
    BOOST_CHECK_THROW(decode(Bytes(blob.begin(), blob.begin() + static_cast<std::ptrdiff_t>(size)), 300), Error);
}

BOOST_AUTO_TEST_CASE(a_blob_with_something_appended_is_refused) {
  Bytes blob = rans_encode(weights(300, 4));
  blob.push_back(std::byte{0});
  BOOST_CHECK_THROW(decode(blob, 300), Error);
}

BOOST_AUTO_TEST_CASE(another_size_is_refused) {
  const Bytes blob = rans_encode(weights(300, 4));
  BOOST_CHECK_THROW(decode(blob, 299), Error);
  BOOST_CHECK_THROW(decode(blob, 301), Error);
}

BOOST_AUTO_TEST_CASE(flipped_bits_never_read_or_write_outside) {
  // Most flips are refused; those that are not give other bytes. The sanitizers watch.
  const Bytes blob = rans_encode(weights(500, 5));
  for (size_t bit = 0; bit < blob.size() * 8; ++bit) {
    Bytes broken = blob;
    broken[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    try {
      const Bytes out = decode(broken, 500);
      BOOST_TEST(out.size() == 500U);
    } catch (const Error& error) {
      BOOST_TEST((error.code() == ErrorCode::model_file));
    }
  }
}

BOOST_AUTO_TEST_CASE(crc32c_has_the_value_of_the_standard) {
  const std::string text = "123456789";
  BOOST_TEST(crc32c(std::as_bytes(std::span(text))) == 0xE3069283U);
  const std::vector<std::byte> zeros(32);
  BOOST_TEST(crc32c(zeros) == 0x8A9136AAU);  // RFC 3720, B.4
  BOOST_TEST(crc32c({}) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace fewbins
