/** The board that a configuration names: its file is read when the agent starts, and what stands in it handed down. */
import { openFolder } from '../drivers/store/disk.ts'
import { readTextFile } from '../drivers/text-file.ts'
import { fail, ok, type Result } from '../protocol/result.ts'
import { type Board, contactsOfHat, type Hat, type HatContact, readBoard, readHats } from './config/board.ts'
import { nearest } from './config/nearest.ts'
import { configLine, type Read } from './config/read-form.ts'

/** Boards that come with the program; the build lays them beside it as they lie here. */
const BOARDS_FOLDER = new URL('../hw/boards/', import.meta.url).pathname

/** Hats of all boards; a board's own file may have more. */
const HATS_FILE = 'hats.yaml'

export interface BoardWithHats {
  readonly board: Board
  readonly hats: Readonly<Record<string, Hat>>
}

/** A board by its name in `folder`, which ends with a slash, or by the path of a file: what has a slash or a dot in it. */
export async function openBoard(name: string, folder = BOARDS_FOLDER): Promise<Result<BoardWithHats>> {
  const board = await readIn(/[/.]/.test(name) ? name : `${folder}${name}.yaml`, readBoard)
  if (!board.ok) return board
  const hats = await readIn(folder + HATS_FILE, readHats)
  if (!hats.ok) return hats
  return ok({ board: board.value, hats: { ...hats.value, ...board.value.hats } })
}

/** The boards that come with the program by their names, each with the relay hats that fit it. */
export async function listBoards(): Promise<Readonly<Record<string, readonly string[]>>> {
  const folder = await openFolder(BOARDS_FOLDER)
  const files = folder.ok ? await folder.value.list() : folder
  if (!files.ok) return {}
  const boards: [string, readonly string[]][] = []
  for (const file of files.value.filter(one => one.endsWith('.yaml') && one !== HATS_FILE)) {
    const name = file.slice(0, -'.yaml'.length)
    const opened = await openBoard(name)
    if (opened.ok) boards.push([name, Object.keys(opened.value.hats).filter(hat => contactsOf(opened.value, hat).ok)])
  }
  return Object.fromEntries(boards)
}

/** The contacts of a relay hat by its name, or why it is none for this board. */
export function contactsOf({ board, hats }: BoardWithHats, hat: string): Result<readonly HatContact[]> {
  const found = Object.hasOwn(hats, hat) ? hats[hat] : undefined
  if (found !== undefined) return contactsOfHat(board, found)
  const known = Object.keys(hats).filter(name => hats[name]!.header === board.header)
  const meant = nearest(hat, known)
  const hint = meant === undefined ? `known for this board: ${known.join(', ') || 'none'}` : `did you mean "${meant}"?`
  return fail({ code: 'board.no-hat', board: board.name, hat, hint })
}

async function readIn<T>(file: string, read: (text: string, file: string) => Read<T>): Promise<Result<T>> {
  const text = await readTextFile(file)
  if (!text.ok) return text
  const made = read(text.value, file)
  if (made.ok) return ok(made.value)
  const [first] = made.faults
  return fail({ code: 'board.form', file, mistakes: made.faults.map(configLine), hint: configLine(first!) })
}
