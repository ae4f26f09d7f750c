/**
 * Carries out what `decide` returns, ten times a second: commands contacts, refreshes closed ones before their dead-man
 * timer runs out, looks where they are, and puts closings on record first. An opening waits for nothing.
 */
import type { Clock, Log, MeterReading, Relay, Timers } from '../../drivers/ports.ts'
import { done, type Fault, fail, type Result } from '../../protocol/result.ts'
import type { Limits, LineFacts, Position, Role, Seen } from '../../protocol/safety/facts.ts'
import { type LineReading, lineReading } from '../../protocol/safety/line-reading.ts'
import type { Permit } from '../../protocol/safety/permit.ts'
import type { Mono } from '../../protocol/time.ts'
import { type ControlEvent, type ControlInput, decide, permitOf, spokenPosition } from './decide.ts'
import { createDrive, type Drive } from './drive.ts'
import { createRest, LOOP_MS } from './rest.ts'
import {
  type ContactId,
  contactsOf,
  type EndConfig,
  lineContact,
  openState,
  ownContact,
  upstreamContact,
  type Weld,
  type Wish,
  weldCleared,
  wished,
} from './state.ts'

/** A recorded intent to close that is not used within this is taken again. */
const INTENT_MS = 5000
/** Pause after a closing that could not be put on record. */
const INTENT_RETRY_MS = 1000

export interface RelayEnd {
  readonly line: string
  readonly side: 'seller' | 'buyer'
  readonly limits: Limits
  readonly contacts: { readonly line: Relay; readonly upstream?: Relay; readonly own?: Relay }
  /** Buyer: the separable circuit. Ends that name the same one are interlocked and share its `own` relay. */
  readonly circuit?: string
}

export interface RelayControlOptions {
  readonly ends: readonly RelayEnd[]
  /** What trading and the light client know of a line now. Called in the loop: it must not wait. */
  readonly facts: (line: string) => LineFacts
  /** The line meter's latest reading. */
  readonly meterOf: (line: string) => MeterReading | undefined
  readonly watchdogFed: () => Mono | undefined
  /**
   * With every contact where it should be, no wish and no deal, the loop stands still and looks round this often;
   * contacts are refreshed all the same. Absent: it never stands still.
   */
  readonly restMs?: number
  /** Makes the intent to close a contact durable. */
  readonly intend: (contact: ContactId) => Promise<Result<void>>
  /** Welds as they were kept, and how to keep them: all of them, durable on success. */
  readonly welds: readonly Weld[]
  readonly keepWelds: (welds: readonly Weld[]) => Promise<Result<void>>
  /** Whether a person had taken the contacts over, and how to keep it, durable on success. */
  readonly manual: boolean
  readonly keepManual: (on: boolean) => Promise<Result<void>>
  readonly onEvent: (event: ControlEvent) => void
  /** Raises what is wrong with a relay as `relay.` and its contact; clears it without a fault. */
  readonly health?: (name: string, fault: Fault | undefined) => void
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
}

export interface ContactView {
  readonly contact: ContactId
  readonly role: Role
  readonly commanded: Position
  readonly seen: Seen
  readonly since: Mono
  readonly unsupervised: boolean
  /** Whether it may be closed now; of one that is commanded closed, whether it may stay so. */
  readonly permit: Permit
  /** Why its relay cannot be relied upon now. */
  readonly trouble: Fault | undefined
}

export interface EndView {
  readonly side: 'seller' | 'buyer'
  readonly wish: Wish
  /** What this end's heartbeat says of its line contact. */
  readonly position: Seen
  readonly contacts: readonly ContactView[]
  /** What keeps the next contact from closing, or what opened the last. */
  readonly because: readonly Fault[]
  /** Latched on this end or its circuit. */
  readonly welds: readonly Weld[]
}

export interface RelayControl {
  /** Asks for a line to be started or stopped, once: a trip or a start that is given up ends the wish. */
  wish(line: string, wish: Wish): void
  /** Opens this end now, without waiting for the seller to break the current. */
  openNow(line: string, because: Fault): void
  /** As a person asks: opens this end now and ends what kept it closed. A fault where there is no such line. */
  openByHand(line: string): Result<void>
  /** Hands the contacts over to a person: everything opens and stays open. */
  setManual(on: boolean): Promise<Result<void>>
  isManual(): boolean
  /** A person has seen to the contact. A fault when that could not be kept; it stays latched then. */
  clearWeld(contact: ContactId): Promise<Result<void>>
  view(line: string): EndView | undefined
  /** How often the control loop has come round to its end: one that stands still, or fails, does not count on. */
  rounds(): number
  /** Opens everything and ends the loop; resolves when every relay has answered, or has had its time. */
  stop(): Promise<void>
}

export function createRelayControl(options: RelayControlOptions): RelayControl {
  const { clock, timers, log } = options
  const ends = options.ends.map(endConfig)
  const drives = drivesOf(options, () => step())
  const intents = new Map<ContactId, 'asked' | { readonly at: Mono }>()
  const readings = new Map<string, { readonly from: MeterReading; readonly reading: LineReading }>()
  /** The code of each relay's trouble that was raised. */
  const raised = new Map<ContactId, string>()
  let state = openState(ends, clock.mono(), options.welds)
  let manual = options.manual
  let stopped = false
  let stepping = false
  let again = false

  function readingOf({ line, limits }: EndConfig): LineReading | undefined {
    const from = options.meterOf(line)
    if (from === undefined) return undefined
    const known = readings.get(line)
    if (known?.from === from) return known.reading
    const reading = lineReading(from.values, from.takenMono, limits.phases)
    readings.set(line, { from, reading })
    return reading
  }

  function inputNow(): ControlInput {
    const mono = clock.mono()
    const recorded = [...intents].flatMap(([contact, intent]) =>
      intent !== 'asked' && mono - intent.at <= INTENT_MS ? [contact] : [],
    )
    return {
      now: clock.now(),
      mono,
      manual,
      watchdogFed: options.watchdogFed(),
      lines: new Map(ends.map(end => [end.line, { ...options.facts(end.line), reading: readingOf(end) }])),
      seen: new Map(
        [...drives].flatMap(([contact, drive]) => (drive.look === undefined ? [] : [[contact, drive.look]])),
      ),
      intended: new Set(recorded),
    }
  }

  /** Whoever hears of an event may wish something at once: that step follows this one. */
  function step(): void {
    again = true
    if (stepping) return
    stepping = true
    while (again && !stopped) {
      again = false
      stepOnce()
    }
    stepping = false
  }

  function stepOnce(): void {
    const result = decide(ends, state, inputNow())
    state = result.state
    for (const action of result.actions) {
      if (action.kind === 'intend') askIntent(action.contact)
      else {
        intents.delete(action.contact)
        drives.get(action.contact)!.send(action.to)
      }
    }
    for (const event of result.events) {
      if (event.kind === 'weld') keepWelds()
      tell(event)
      options.onEvent(event)
    }
    for (const [contact, drive] of drives) {
      drive.tend(state.contacts.get(contact)!.arrived)
      raise(contact, drive.trouble())
    }
  }

  /** Once for each change: health itself would be asked ten times a second. */
  function raise(contact: ContactId, fault: Fault | undefined): void {
    if (raised.get(contact) === fault?.code) return
    if (fault === undefined) raised.delete(contact)
    else raised.set(contact, fault.code)
    options.health?.(`relay.${contact}`, fault)
  }

  function askIntent(contact: ContactId): void {
    const known = intents.get(contact)
    if (known === 'asked' || (known !== undefined && clock.mono() - known.at <= INTENT_MS)) return
    intents.set(contact, 'asked')
    void options.intend(contact).then(result => {
      if (result.ok) {
        intents.set(contact, { at: clock.mono() })
        step()
        return
      }
      log('error', 'relays', `${contact} stays open: its closing could not be put on record`, result.fault)
      timers.after(INTENT_RETRY_MS, () => intents.delete(contact))
    })
  }

  function keepWelds(): void {
    void options.keepWelds([...state.welds.values()]).then(result => {
      if (!result.ok) log('error', 'relays', 'a weld is latched in memory only', result.fault)
    })
  }

  function tell(event: ControlEvent): void {
    if (event.kind === 'weld') log('error', 'relays', `${event.weld.contact} is welded`, event.weld.sign)
    else if (event.kind === 'tripped') log('warn', 'relays', `${event.contact} opened`, event.because[0])
    else if (event.kind === 'gave-up') log('warn', 'relays', `${event.line} was not started`, event.because[0])
    else log('debug', 'relays', `${event.contact} is seen ${event.kind}`)
  }

  /** Nothing to do, and nothing that could call for it but what a look round shows. */
  const quiet = (): boolean =>
    ends.every(({ line, circuit }) => {
      if (state.ends.get(line)!.wish === 'energise' || options.facts(line).deal !== undefined) return false
      return !circuit?.own || state.contacts.get(ownContact(circuit.name))!.commanded === 'closed'
    }) &&
    [...state.contacts].every(([contact, { arrived, commanded }]) => {
      return arrived && drives.get(contact)!.look?.seen === commanded
    })

  const rest = createRest(clock, options.restMs, quiet)

  let rounds = 0
  function loop(): void {
    const next = rest.next()
    if (next === 'step') step()
    else for (const drive of drives.values()) next === 'look' ? drive.tend(true) : drive.refresh()
    rounds++
  }

  const cancel = timers.every(LOOP_MS, loop)
  for (const drive of drives.values()) drive.send('open')

  const control: RelayControl = {
    wish(line, wish) {
      state = wished(state, line, wish, clock.mono())
      // An opening never waits; a start out of a rest waits for the look round that it causes.
      if (wish === 'de-energise' || rest.awake()) step()
    },
    openNow(line, because) {
      log('warn', 'relays', `${line} opens at once`, because)
      state = wished(state, line, 'de-energise', clock.mono(), true)
      step()
    },
    openByHand(line) {
      if (!state.ends.has(line)) return fail({ code: 'control.no-such-line', line, known: [...state.ends.keys()] })
      const because: Fault = { code: 'control.by-hand', line }
      control.openNow(line, because)
      options.onEvent({ kind: 'tripped', line, contact: lineContact(line), because: [because] })
      return done
    },
    async setManual(on) {
      if (on !== manual) log('warn', 'relays', on ? 'manual: every contact opens' : 'no longer manual')
      // An opening waits for no disk; a contact that may close again does.
      manual ||= on
      if (on) step()
      const kept = await options.keepManual(on)
      if (!kept.ok) return kept
      manual = on
      step()
      return kept
    },
    isManual: () => manual,
    rounds: () => rounds,
    async clearWeld(contact) {
      if (!state.welds.has(contact)) {
        return fail({ code: 'control.no-weld', contact, welded: [...state.welds.keys()] })
      }
      log('warn', 'relays', `the weld of ${contact} is cleared by a person`)
      const cleared = weldCleared(state, contact)
      const kept = await options.keepWelds([...cleared.welds.values()])
      if (kept.ok) state = weldCleared(state, contact)
      return kept
    },
    view(line) {
      const end = ends.find(candidate => candidate.line === line)
      if (end === undefined) return undefined
      const { wish, because } = state.ends.get(line)!
      const group = ends.filter(other => other === end || (end.circuit && other.circuit?.name === end.circuit.name))
      const input = inputNow()
      const mine = group.flatMap(contactsOf).map(({ contact }) => contact)
      return {
        side: end.side,
        wish,
        position: spokenPosition(end, state, input),
        contacts: contactsOf(end).map(({ contact, role }) => {
          const permit = permitOf(ends, state, input, end, { contact, role })
          const { commanded, since } = state.contacts.get(contact)!
          const drive = drives.get(contact)!
          const seen = drive.look !== undefined && drive.look.at >= since ? drive.look.seen : 'unknown'
          return {
            contact,
            role,
            commanded,
            since,
            seen,
            unsupervised: drive.unsupervised,
            permit,
            trouble: drive.trouble(),
          }
        }),
        because,
        welds: [...state.welds.values()].filter(weld => mine.includes(weld.contact)),
      }
    },
    async stop() {
      stopped = true
      cancel()
      await Promise.all([...drives.values()].map(drive => drive.send('open')))
    },
  }
  return control
}

const endConfig = ({ line, side, limits, contacts, circuit }: RelayEnd): EndConfig => ({
  line,
  side,
  limits,
  upstream: contacts.upstream !== undefined,
  circuit: circuit === undefined ? undefined : { name: circuit, own: contacts.own !== undefined },
})

function drivesOf(options: RelayControlOptions, onTrouble: () => void): ReadonlyMap<ContactId, Drive> {
  const drives = new Map<ContactId, Drive>()
  const relays = new Map<ContactId, Relay>()
  for (const { line, contacts, circuit, limits } of options.ends) {
    const own = circuit === undefined ? [] : ([[ownContact(circuit), contacts.own]] as const)
    const wired = [[lineContact(line), contacts.line], [upstreamContact(line), contacts.upstream], ...own] as const
    for (const [contact, relay] of wired) {
      if (relay === undefined || relays.get(contact) === relay) continue
      if (relays.has(contact)) throw new Error(`${contact} is two different relays`)
      relays.set(contact, relay)
      drives.set(contact, createDrive(contact, relay, limits.readBackMs, options, onTrouble))
    }
  }
  return drives
}
