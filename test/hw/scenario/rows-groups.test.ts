import { showRows } from './shown.ts'

showRows('rows-groups').run()
