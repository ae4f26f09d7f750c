/**
 * A program that opens a site's relay banks as the agent does and holds the first contact closed, renewing it as the control loop
 * would, until it is killed. It says what the contact declares, then a line for each closing that was taken.
 */
import { readFileSync } from 'node:fs'
import { framingOf } from '../../agent/config/line-settings.ts'
import { loadConfig } from '../../agent/config/load.ts'
import { openRelays } from '../../agent/open-relays.ts'
import { systemWorld } from '../../agent/world.ts'
import { createModbusMaster } from '../../drivers/modbus/master.ts'
import { must } from '../../protocol/result.ts'

const loaded = loadConfig(readFileSync(process.argv[2]!, 'utf8'), 'site.yaml')
if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
const config = loaded.value
const world = systemWorld(config, () => {})
const { clock, timers } = world
const banks = await openRelays(config, world, {
  masterOn: async name => {
    const line = world.openLine(config.lines[name]!)
    const master = createModbusMaster({ line, clock, timers, framing: framingOf(config.lines[name]!, []) })
    must(await master.open())
    return { master }
  },
  health: () => {},
})
const relay = banks.relay(config.directLines[0]!.contacts.line)
const { onAgentDeath: death } = relay
console.log(JSON.stringify(death))
/** As in agent/relays: a third of the dead-man time, or a second. */
const renewMs = death.kind === 'opens' ? death.withinMs / 3 : 1_000
for (;;) {
  const began = clock.mono()
  const taken = await relay.command('closed')
  console.log(taken.ok ? 'closed' : taken.fault.code)
  await timers.sleep(Math.max(20, renewMs - (clock.mono() - began)))
}
