/**
 * Which lines of this machine a GPIO bank's contacts hang on. Where the site names its board, what each line does at boot is
 * known: one that would close its contact is refused, and a hat's contacts need not be listed.
 */
import type { GpioContact } from '../drivers/relays/johnny-five.ts'
import { fail, ok, type Result } from '../protocol/result.ts'
import { type BoardWithHats, contactsOf, openBoard } from './boards.ts'
import { type Board, type BoardLine, contactsOfHat } from './config/board.ts'
import { nearest } from './config/nearest.ts'
import type { GpioContactConfig, RelayBankConfig } from './config/relay-config.ts'

export type GpioBankConfig = Extract<RelayBankConfig, { readonly driver: 'gpio' }>

/** A line as it is to be found: by its name, or where the board's file tells it by chip and offset. */
export interface GpioLinePlace {
  readonly name: string
  /** Label of the chip. */
  readonly chip?: string
  readonly offset?: number
  /** What kernels call it. */
  readonly kernelNames?: readonly string[]
}

export interface GpioWiring {
  /** By channel, from 1. */
  readonly contacts: readonly Omit<GpioContact, 'name'>[]
  readonly lines: readonly GpioLinePlace[]
}

/** `board` is what the site names; a bank with a hat needs one. */
export async function wireGpio(
  name: string,
  bank: GpioBankConfig,
  board: string | undefined,
): Promise<Result<GpioWiring>> {
  if (board === undefined) {
    const contacts = bank.contacts ?? []
    return ok({ contacts, lines: contacts.flatMap(linesOf).map(line => ({ name: line })) })
  }
  const opened = await openBoard(board)
  if (!opened.ok) return opened
  return bank.hat === undefined ? onLines(name, bank, opened.value.board) : onHat(bank.hat, opened.value)
}

const linesOf = ({ output, auxiliary }: GpioContactConfig): readonly string[] =>
  auxiliary === undefined ? [output] : [output, auxiliary.line]

const placeOf = ({ name, chip, offset, kernelNames }: BoardLine): GpioLinePlace => ({ name, chip, offset, kernelNames })

function onHat(hat: string, board: BoardWithHats): Result<GpioWiring> {
  const contacts = contactsOf(board, hat)
  if (!contacts.ok) return contacts
  return ok({
    contacts: contacts.value.map(({ line, closedLevel }) => ({ output: line.name, closedLevel })),
    lines: contacts.value.map(({ line }) => placeOf(line)),
  })
}

function onLines(name: string, { contacts = [] }: GpioBankConfig, board: Board): Result<GpioWiring> {
  const places: GpioLinePlace[] = []
  for (const [index, contact] of contacts.entries()) {
    for (const wanted of linesOf(contact)) {
      const line = board.lines.find(one => one.name === wanted)
      if (line === undefined) {
        const meant = nearest(
          wanted,
          board.lines.map(one => one.name),
        )
        const hint = meant === undefined ? `its lines are in the file of ${board.name}` : `did you mean "${meant}"?`
        return fail({ code: 'board.no-line', board: board.name, line: wanted, hint })
      }
      places.push(placeOf(line))
      if (wanted !== contact.output) continue
      const safe = safeAtBoot(`${name}.${index + 1}`, contact, line, board)
      if (!safe.ok) return safe
    }
  }
  return ok({ contacts, lines: places })
}

/** Judged as a hat of one relay. */
function safeAtBoot(title: string, contact: GpioContactConfig, line: BoardLine, board: Board): Result<unknown> {
  const { pin, unsafe, name } = line
  const { header } = board
  if (unsafe !== undefined)
    return fail({ code: 'board.unsafe', board: board.name, contact: title, line: name, why: unsafe })
  if (pin === undefined || header === undefined)
    return fail({ code: 'board.no-pin', board: board.name, contact: title, line: name })
  const relays = {
    active: contact.closedLevel === 1 ? 'high' : 'low',
    undrivenOpen: contact.undrivenOpen === true,
    pins: [pin],
  } as const
  return contactsOfHat(board, { title, header, source: '', relays, rs485: [], pins: [pin] })
}
