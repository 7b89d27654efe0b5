"""Made for tests."""

providers: list[Provider] = [
    Provider(
        id='openai',
        models=[
            ModelInfo(
                id='agreed',
                match=ClauseEquals(equals='agreed'),
                name='Agreed',
                context_window=1200,
                prices=[
                    ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('2'), output_mtok=Decimal('5'))),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 11, 1)),
                        prices=ModelPrice(
                            input_mtok=TieredPrices(base=Decimal('1'), tiers=[Tier(start=200000, price=Decimal('2'))]),
                            output_mtok=Decimal('2.5'),
                        ),
                    ),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2027, 1, 1)),
                        prices=ModelPrice(input_mtok=Decimal('0.5'), output_mtok=Decimal('1')),
                    ),
                ],
                price_variants=[
                    PriceVariant(when={'service_tier': 'flex'}, prices=ModelPrice(input_mtok=Decimal('0.75'))),
                ],
            ),
            ModelInfo(
                id='hourly', deprecated=True, prices=ModelPrice(audio_hours=Decimal('0.36'), odd_kcount=Decimal('1'))
            ),
        ],
    ),
    Provider(
        id='x-ai',
        models=[ModelInfo(id='disputed', prices=ModelPrice(input_mtok=Decimal('0.2'), output_mtok=Decimal('3.001')))],
    ),
    Provider(
        id='deepseek',
        models=[ModelInfo(id='quiet', prices=ModelPrice(input_mtok=Decimal('0.5'), output_mtok=Decimal('1')))],
    ),
]
