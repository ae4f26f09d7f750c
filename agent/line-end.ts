/** A direct line of the configuration as the relay control knows its end. */
import type { Relay } from '../drivers/ports.ts'
import type { Limits } from '../protocol/safety/facts.ts'
import type { DirectLineConfig } from './config/site-config.ts'
import type { RelayEnd } from './relays/run.ts'

/** What the configuration leaves out keeps the interlock's own limits. */
export function endOf(
  { id, side, contacts, circuit }: DirectLineConfig,
  limits: Limits,
  relay: (contact: DirectLineConfig['contacts']['line']) => Relay,
): RelayEnd {
  return {
    line: id,
    side,
    limits,
    contacts: {
      line: relay(contacts.line),
      ...(contacts.upstream === undefined ? {} : { upstream: relay(contacts.upstream) }),
      ...(contacts.own === undefined ? {} : { own: relay(contacts.own) }),
    },
    ...(circuit === undefined ? {} : { circuit: circuit.name }),
  }
}
