# The formats of jq that the library does not bring along.
def @csv:
  [.[] | if isstring then "\"" + (split("\"") | join("\"\"")) + "\""
         elif . == null then ""
         elif isarray or isobject then error("\(tojson) is no CSV field")
         else tostring end] | join(",");
def @tsv:
  [.[] | if isstring then
           (split("\\") | join("\\\\") | split("\t") | join("\\t") | split("\n") | join("\\n") | split("\r") | join("\\r"))
         elif . == null then ""
         elif isarray or isobject then error("\(tojson) is no TSV field")
         else tostring end] | join("\t");
