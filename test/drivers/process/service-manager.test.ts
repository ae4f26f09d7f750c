/** sd_notify(3), heard by Python's own datagram socket. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openServiceManager } from '../../../drivers/process/service-manager.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { listenTo, noPython } from './notify-listener.ts'

const folder = mkdtempSync(join(tmpdir(), 'tieline-notify-'))
const test = suite('service manager')

for (const [kind, address] of [
  ['a path', join(folder, 'notify')],
  ['an abstract name', `@tieline-test-${process.pid}`],
] as const) {
  test.skipIf(noPython, `what is told to ${kind} is heard word for word`, async () => {
    const listener = await listenTo(address)
    const manager = must(await openServiceManager({ NOTIFY_SOCKET: address }))!
    assert.ok(manager.tell('READY=1\nSTATUS=höre').ok)
    assert.ok(manager.tell('STOPPING=1').ok)
    assert.is(await listener.next(), 'READY=1\nSTATUS=höre')
    assert.is(await listener.next(), 'STOPPING=1')
    await listener.close()
  })
}

test.skipIf(noPython, 'a manager that is gone is a fault and not a crash, again and again', async () => {
  const address = join(folder, 'gone')
  const listener = await listenTo(address)
  const manager = must(await openServiceManager({ NOTIFY_SOCKET: address }))!
  await listener.close()
  for (let round = 0; round < 2000; round++) {
    // ECONNREFUSED: were the descriptor of each try kept, it would be EMFILE by now.
    assert.equal(manager.tell('WATCHDOG=1'), { ok: false, fault: { code: 'native.call', call: 'sendto', errno: 111 } })
  }
})

test('an address that is none is refused, and so is one that does not fit', async () => {
  for (const address of ['vsock:2:9999', 'relative', `/${'x'.repeat(107)}`, `@${'x'.repeat(108)}`]) {
    const manager = must(await openServiceManager({ NOTIFY_SOCKET: address }))!
    assert.equal(manager.tell('READY=1'), { ok: false, fault: { code: 'native.address', address } })
  }
})

test('nobody is told where nobody asked, and only the watched process feeds', async () => {
  assert.is(must(await openServiceManager({})), undefined)
  const watchdog = async (env: Record<string, string>) =>
    must(await openServiceManager({ NOTIFY_SOCKET: '/none', ...env }))!.watchdogMs
  assert.is(await watchdog({}), undefined)
  assert.is(await watchdog({ WATCHDOG_USEC: '10000000' }), 10_000)
  assert.is(await watchdog({ WATCHDOG_USEC: '10000000', WATCHDOG_PID: String(process.pid) }), 10_000)
  assert.is(await watchdog({ WATCHDOG_USEC: '10000000', WATCHDOG_PID: '1' }), undefined)
  for (const bad of ['', '0', '-1', '1e6', 'soon']) assert.is(await watchdog({ WATCHDOG_USEC: bad }), undefined)
})

test('removes its folder', () => rmSync(folder, { recursive: true }))

test.run()
