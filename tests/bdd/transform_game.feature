Feature: A raw game becomes seventeen tables
  A response of the live feed lies in the raw store. Transforming it fills every table of its mapping, in PostgreSQL and
  in the lake, from that one response.

  Scenario: A completed real game
    Given the completed game 747175 with raw data
    When it is transformed
    Then every table of the feed is populated
    And all foreign keys are valid
    And the quality checks pass

  Scenario Outline: A completed simulated game
    Given a simulated game of <day> with seed <seed> and raw data
    When it is transformed
    Then every table of the feed is populated
    And all foreign keys are valid
    And the quality checks pass

    Examples:
      | day        | seed |
      | 2024-06-01 | 7    |
      | 2023-09-30 | 11   |
