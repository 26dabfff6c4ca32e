// Types that several files share.

@export()
@description('Tags that everything made here has.')
type tagsOfAll = {
  @description('A tag\'s value, by its name.')
  *: string
}
