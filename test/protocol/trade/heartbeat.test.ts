import { mono } from '../../../protocol/time.ts'
import { beat, hear, newPulse, type Pulse } from '../../../protocol/trade/heartbeat.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('trade heartbeat')

test('the other end was alive when we sent what it echoes, not when its answer arrived', () => {
  const first = beat(newPulse(700), mono(1000))
  assert.is(first.sequence, 700)
  assert.is(first.echo, undefined)
  assert.is(first.pulse.aliveAt, undefined)
  // The answer may take any time: only our own sending time counts.
  const answered = hear(first.pulse, 40, 700)
  assert.is(answered.aliveAt, 1000)
  assert.is(beat(answered, mono(1300)).echo, 40)
})

test('held-back heartbeats that come one by one renew nothing', () => {
  let pulse: Pulse = newPulse(0)
  for (let n = 0; n < 10; n++) pulse = beat(pulse, mono(1000 + n * 300)).pulse
  // The broker held the peer's heartbeats 1 to 5, all of which were sent when it had heard only our number 0.
  for (let sequence = 1; sequence <= 5; sequence++) {
    pulse = hear(pulse, sequence, 0)
    assert.is(pulse.aliveAt, 1000)
  }
  assert.is(hear(pulse, 6, 9).aliveAt, 3700)
})

test('a repeated heartbeat, one without an echo and one that echoes what was never sent renew nothing', () => {
  const sent = beat(newPulse(100), mono(5000)).pulse
  const heard = hear(sent, 7, undefined)
  assert.is(heard.aliveAt, undefined)
  assert.is(hear(heard, 7, 100).aliveAt, undefined, 'not newer than the last')
  assert.is(hear(heard, 8, 99).aliveAt, undefined)
  assert.is(hear(heard, 8, 101).aliveAt, undefined)
  assert.is(hear(heard, 8, 100).aliveAt, 5000)
})

test('it remembers the last 32 only', () => {
  let pulse: Pulse = newPulse(0)
  for (let n = 0; n < 40; n++) pulse = beat(pulse, mono(n)).pulse
  assert.is(pulse.sent.length, 32)
  assert.is(hear(pulse, 1, 7).aliveAt, undefined)
  assert.is(hear(pulse, 1, 8).aliveAt, 8)
})

test.run()
