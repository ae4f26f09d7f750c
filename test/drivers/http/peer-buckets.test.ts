import { createPeerBuckets, peerOf } from '../../../drivers/http/peer-buckets.ts'
import type { Mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('peer buckets')
const at = (ms: number) => ms as Mono

test('a peer takes its own and no more, and comes back by the clock', () => {
  const buckets = createPeerBuckets({ burst: 2, perSecond: 1 }, { burst: 100, perSecond: 100 })
  const take = (peer: string, ms: number) => buckets.take(peer, at(ms))
  assert.equal([take('a', 0), take('a', 0), take('a', 0), take('b', 0)], [true, true, false, true])
  assert.equal([take('a', 999), take('a', 1000), take('a', 1000)], [false, true, false])
})

test('all together take no more than there is; a refused peer takes nothing from the others', () => {
  const buckets = createPeerBuckets({ burst: 2, perSecond: 0 }, { burst: 4, perSecond: 0 })
  for (let n = 0; n < 100; n++) buckets.take('greedy', at(0))
  assert.equal(
    ['a', 'b', 'c'].map(peer => buckets.take(peer, at(0))),
    [true, true, false],
  )
})

test('ten thousand peers are not remembered, and those of them that are remembered stay empty', () => {
  const buckets = createPeerBuckets({ burst: 1, perSecond: 0 }, { burst: 1e6, perSecond: 0 })
  for (let n = 0; n < 10_000; n++) assert.ok(buckets.take(`peer ${n}`, at(0)))
  assert.not.ok(buckets.take('peer 9999', at(0)))
  assert.not.ok(buckets.take('peer 5904', at(0)), 'the oldest of 4096')
  assert.ok(buckets.take('peer 5903', at(0)), 'forgotten')
})

test('an address of IPv6 stands for its first 64 bits, one of IPv4 for itself however it is written', () => {
  assert.is(peerOf('::ffff:192.168.1.5'), '192.168.1.5')
  assert.is(peerOf('192.168.1.5'), '192.168.1.5')
  assert.is(peerOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2')
  assert.is(peerOf('2001:db8:1:2::1'), '2001:db8:1:2')
  assert.is(peerOf('2001:db8::1'), '2001:db8:0:0')
  assert.is(peerOf('fe80::1%eth0'), 'fe80:0:0:0')
  assert.is(peerOf('::1'), '0:0:0:0')
  assert.is(peerOf(undefined), '')
})

test.run()
